"""How every client reaches the REST catalog, the store and Kafka: one place for addresses, logins and encryption.

Iceberg's Java library and pyiceberg read the same property names; librdkafka and Kafka's Java clients each have theirs.
Secrets come apart from the rest, because some of the rest becomes a command line.
"""

from __future__ import annotations

import httpx

from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import Settings

REQUEST_SECONDS = 5.0


def catalog_properties(settings: Settings) -> dict[str, str]:
    """Iceberg's properties of the REST catalog, without secrets; the same for Java and pyiceberg."""
    properties = {"uri": settings.catalog}
    if settings.catalog_warehouse is not None:
        properties["warehouse"] = settings.catalog_warehouse
    if settings.catalog_credential is not None:
        properties |= {
            "oauth2-server-uri": settings.catalog_token_endpoint,
            "scope": settings.catalog_scope,
            # a new token is asked for with the credential: not every server exchanges old ones
            "token-exchange-enabled": "false",
        }
    return properties


def catalog_secrets(settings: Settings) -> dict[str, str]:
    """Iceberg's properties that log in to the REST catalog; empty where it asks nobody who they are."""
    given = {"credential": settings.catalog_credential, "token": settings.catalog_token}
    return {name: secret.get_secret_value() for name, secret in given.items() if secret is not None}


def catalog_login(settings: Settings) -> dict[str, str]:
    """The header of one request of our own to the REST catalog. Raises ComponentError when it gives no token."""
    if settings.catalog_token is not None:
        return {"Authorization": f"Bearer {settings.catalog_token.get_secret_value()}"}
    if settings.catalog_credential is None:
        return {}
    client_id, secret = credential(settings)
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    form["scope"] = settings.catalog_scope
    try:
        answer = httpx.post(settings.catalog_token_endpoint, data=form, timeout=REQUEST_SECONDS, trust_env=False)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}
    except (httpx.HTTPError, ValueError, KeyError) as refused:
        raise ComponentError(
            f"{settings.catalog_token_endpoint} gives no token for LAKE_CATALOG_CREDENTIAL: {refused}",
            remedy="correct LAKE_CATALOG_CREDENTIAL, LAKE_CATALOG_SCOPE or LAKE_CATALOG_OAUTH2_URI",
        ) from refused


def credential(settings: Settings) -> tuple[str, str]:
    """Client id and secret of the REST catalog's OAuth2. Raises ConfigurationError for a value of another form."""
    given = settings.catalog_credential.get_secret_value() if settings.catalog_credential else ""
    client_id, colon, secret = given.partition(":")
    if not (client_id and colon and secret):
        raise ConfigurationError(
            "LAKE_CATALOG_CREDENTIAL is not of the form id:secret", remedy="join client id and secret with a colon"
        )
    return client_id, secret


def store_properties(settings: Settings) -> dict[str, str]:
    """Iceberg's properties of the store in Java, without secrets."""
    return {
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "s3.endpoint": settings.s3,
        "s3.path-style-access": str(settings.s3_path_style).lower(),
        "client.region": settings.s3_region,
    }


def store_secrets(settings: Settings) -> dict[str, str]:
    """Iceberg's properties that log in to the store; the same for Java and pyiceberg."""
    return {
        "s3.access-key-id": settings.secrets.s3_access_key,
        "s3.secret-access-key": settings.secrets.s3_secret_key,
    }


def kafka_client(settings: Settings) -> dict[str, str]:
    """What a client on librdkafka needs to reach Kafka."""
    options = {"bootstrap.servers": settings.kafka}
    if settings.kafka_security == "PLAINTEXT":
        return options
    options["security.protocol"] = settings.kafka_security
    if settings.kafka_ca_file is not None:
        options["ssl.ca.location"] = str(settings.kafka_ca_file)
    if settings.kafka_security.startswith("SASL"):
        user, password = _kafka_login(settings)
        options |= {"sasl.mechanism": settings.kafka_mechanism, "sasl.username": user, "sasl.password": password}
    return options


def kafka_java(settings: Settings) -> dict[str, str]:
    """The same for Kafka's Java clients: Spark's source and Kafka Connect."""
    options = {"bootstrap.servers": settings.kafka}
    if settings.kafka_security == "PLAINTEXT":
        return options
    options["security.protocol"] = settings.kafka_security
    if settings.kafka_ca_file is not None:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(settings.kafka_ca_file)}
    if settings.kafka_security.startswith("SASL"):
        kind = "plain.Plain" if settings.kafka_mechanism == "PLAIN" else "scram.Scram"
        user, password = (_quoted(each) for each in _kafka_login(settings))
        module = f"org.apache.kafka.common.security.{kind}LoginModule"
        options["sasl.mechanism"] = settings.kafka_mechanism
        options["sasl.jaas.config"] = f"{module} required username={user} password={password};"
    return options


def _kafka_login(settings: Settings) -> tuple[str, str]:
    if settings.kafka_user is None or settings.kafka_password is None:
        raise ConfigurationError(
            f"LAKE_KAFKA_SECURITY={settings.kafka_security} asks for a login",
            remedy="set LAKE_KAFKA_USER and LAKE_KAFKA_PASSWORD",
        )
    return settings.kafka_user, settings.kafka_password.get_secret_value()


def _quoted(text: str) -> str:
    """A value in a JAAS configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
