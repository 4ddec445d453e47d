package org.apache.iceberg.rest;

import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.catalog.Catalog;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

/**
 * Iceberg's REST catalog server, bound to one address.
 *
 * <p>Iceberg's own {@code RESTCatalogServer} listens on every interface and asks nobody who they are, so it may only be
 * reached over loopback. Like it, this one takes the catalog's properties from {@code CATALOG_*} variables: {@code
 * CATALOG_IO__IMPL} is {@code io-impl} and {@code CATALOG_JDBC_USER} is {@code jdbc.user}. {@code REST_HOST} and {@code
 * REST_PORT} say where it listens.
 */
public final class LoopbackRestServer {
  private static final String PREFIX = "CATALOG_";

  private LoopbackRestServer() {}

  public static void main(String[] args) throws Exception {
    Map<String, String> environment = System.getenv();
    Map<String, String> properties = catalogProperties(environment);
    String name = environment.getOrDefault("CATALOG_NAME", "iceberg");
    Catalog catalog = CatalogUtil.buildIcebergCatalog(name, properties, new Configuration());
    Server server = new Server(address(environment));
    server.setHandler(handler(catalog, properties));
    server.start();
    server.join();
  }

  private static Map<String, String> catalogProperties(Map<String, String> environment) {
    Map<String, String> properties = new HashMap<>();
    properties.put("catalog-impl", "org.apache.iceberg.jdbc.JdbcCatalog");
    properties.put("jdbc.schema-version", "V1");
    environment.forEach(
        (variable, value) -> {
          if (variable.startsWith(PREFIX)) {
            properties.put(propertyName(variable), value);
          }
        });
    return properties;
  }

  private static String propertyName(String variable) {
    String name = variable.substring(PREFIX.length());
    return name.replace("__", "-").replace("_", ".").toLowerCase(Locale.ROOT);
  }

  private static InetSocketAddress address(Map<String, String> environment) {
    String host = environment.getOrDefault("REST_HOST", "127.0.0.1");
    return new InetSocketAddress(host, Integer.parseInt(environment.getOrDefault("REST_PORT", "8181")));
  }

  private static ServletContextHandler handler(Catalog catalog, Map<String, String> properties) {
    RESTCatalogServer.CatalogContext context = new RESTCatalogServer.CatalogContext(catalog, properties);
    RESTCatalogServlet servlet = new RESTCatalogServlet(new RESTServerCatalogAdapter(context));
    ServletContextHandler handler = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    handler.addServlet(new ServletHolder(servlet), "/*");
    return handler;
  }
}
