/** Starts the server, of whose archive this one class is not on Maven Central. Java compiles it as it starts it. */
public class TrinoServer {
    public static void main(String[] arguments) {
        new io.trino.server.Server().start("483");
    }
}
