//! What librdkafka is told: tflog's guarantees, the options, the user's own
//! settings, who tflog is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DefaultProducerContext};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::component::{BuildError, Definition};
use crate::sink::remote::{Auth, Tls};

/// The sink's options.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Template of the message key; an event without its values has no key.
    pub key: Option<String>,
    /// Message headers: their names, and templates of their values.
    pub headers: BTreeMap<String, String>,
    /// How messages are compressed.
    pub compression: Compression,
    /// How a key chooses the partition.
    pub partitioner: Partitioner,
    /// Different topics that a template may make; an event for a further one is
    /// refused.
    pub topics_max: usize,
    /// Properties of librdkafka, by its names.
    pub settings: Map<String, Value>,
    /// Who tflog is to the brokers.
    pub auth: Option<Auth>,
    /// How the brokers are trusted, and tflog's own certificate.
    pub tls: Option<Tls>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            key: None,
            headers: BTreeMap::new(),
            compression: Compression::default(),
            partitioner: Partitioner::default(),
            // Far above what a cluster likes to hold; an id as topic passes it
            // within a second.
            topics_max: 10_000,
            settings: Map::new(),
            auth: None,
            tls: None,
        }
    }
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names of the algorithms")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    #[default]
    Lz4,
    Zstd,
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// How a key chooses the partition; events without one are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "librdkafka's names")]
pub enum Partitioner {
    Random,
    Consistent,
    ConsistentRandom,
    Murmur2,
    /// What Java's producer does, so that both find the same partition.
    #[default]
    Murmur2Random,
    Fnv1a,
    Fnv1aRandom,
}

impl Partitioner {
    fn name(self) -> &'static str {
        match self {
            Partitioner::Random => "random",
            Partitioner::Consistent => "consistent",
            Partitioner::ConsistentRandom => "consistent_random",
            Partitioner::Murmur2 => "murmur2",
            Partitioner::Murmur2Random => "murmur2_random",
            Partitioner::Fnv1a => "fnv1a",
            Partitioner::Fnv1aRandom => "fnv1a_random",
        }
    }
}

/// Settings that are not the user's, and what to do instead.
const RESERVED: [(&str, &str); 16] = [
    ("bootstrap.servers", "name the brokers in the URL"),
    ("metadata.broker.list", "name the brokers in the URL"),
    ("enable.idempotence", "it is always on: it keeps the order"),
    ("acks", "it is always all: fewer lose events"),
    (
        "request.required.acks",
        "it is always all: fewer lose events",
    ),
    (
        "message.timeout.ms",
        "messages never expire: that would lose them",
    ),
    (
        "delivery.timeout.ms",
        "messages never expire: that would lose them",
    ),
    ("delivery.report.only.error", "every message is confirmed"),
    ("transactional.id", "transactions are not supported"),
    (
        "security.protocol",
        "write kafka+tls:// for TLS, and auth for SASL",
    ),
    ("sasl.username", "write auth.user"),
    ("sasl.password", "write auth.password"),
    ("compression.type", "write compression"),
    ("compression.codec", "write compression"),
    ("partitioner", "write the option of that name"),
    ("plugin.library.paths", "plugins are not loaded"),
];

/// Where messages go: brokers and the topic, a template.
pub(super) fn split_target(definition: &Definition) -> Result<(String, &str), BuildError> {
    let (brokers, topic) = definition
        .target
        .split_once('/')
        .unwrap_or((&definition.target, ""));
    let error = |message: &str| {
        let help = "write kafka://host:9092,host:9092/topic";
        Err(definition.error(message).help(help))
    };
    if brokers.contains(['{', '}']) {
        return error("an event cannot choose its brokers");
    }
    if brokers.split(',').any(|b| b.trim().is_empty()) {
        return error("a broker is missing");
    }
    if topic.is_empty() {
        return error("the topic is missing");
    }
    Ok((brokers.replace(' ', ""), topic))
}

/// All properties, checked by librdkafka.
pub(super) fn client(
    definition: &Definition,
    config: &Config,
    brokers: &str,
) -> Result<ClientConfig, BuildError> {
    let mut client = ClientConfig::new();
    client
        .set_log_level(RDKafkaLogLevel::Info)
        .set("client.id", "tflog")
        // librdkafka's own queue is part of what the sink may hold.
        .set("queue.buffering.max.kbytes", "32768")
        .set("queue.buffering.max.messages", "100000")
        .set("socket.keepalive.enable", "true")
        // Until then a topic that was refused or unknown stays so, and it is
        // five minutes otherwise.
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("statistics.interval.ms", "5000");
    let mut settings = BTreeMap::new();
    flatten("", &config.settings, &mut settings);
    for (name, value) in settings {
        let key = format!("settings.{name}");
        if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
            let message = format!("`{name}` cannot be set here");
            return Err(definition.error(message).at(&key).help(*instead));
        }
        client.set(name, value);
    }
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("compression.type", config.compression.name())
        .set("partitioner", config.partitioner.name());
    secure(definition, config, &mut client)?;
    check(definition, &client)?;
    client.set("bootstrap.servers", brokers);
    Ok(client)
}

/// `{"linger": {"ms": 5}}`, as a URL's dotted keys come, and `{"linger.ms": 5}`
/// are the same.
fn flatten(prefix: &str, map: &Map<String, Value>, out: &mut BTreeMap<String, String>) {
    for (key, value) in map {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, out),
            Value::String(text) => drop(out.insert(name, text.clone())),
            other => drop(out.insert(name, other.to_string())),
        }
    }
}

/// TLS and SASL.
fn secure(
    definition: &Definition,
    config: &Config,
    client: &mut ClientConfig,
) -> Result<(), BuildError> {
    let built_with_tls = cfg!(feature = "kafka-tls");
    let without = |what: &str| {
        definition
            .error(format!(
                "{what} needs the feature kafka-tls, which this tflog was built without"
            ))
            .help("build with it, or use auth.sasl: PLAIN without TLS")
    };
    if definition.tls && !built_with_tls {
        return Err(without("kafka+tls").at("url"));
    }
    if let Some(tls) = &config.tls {
        if !definition.tls {
            let error = definition.error("TLS is off").at("tls");
            return Err(error.help("write kafka+tls:// as the scheme"));
        }
        certificates(definition, tls, client)?;
    }
    if definition.tls && config.tls.as_ref().is_none_or(|tls| tls.ca.is_none()) {
        // A linked-in OpenSSL does not know where the system keeps them.
        client.set("ssl.ca.location", "probe");
    }
    let sasl = match &config.auth {
        Some(auth) => {
            let mechanism = sasl(definition, auth, client)?;
            if mechanism.starts_with("SCRAM") && !built_with_tls {
                return Err(without(&mechanism).at("auth.sasl"));
            }
            true
        }
        // OAuth and others, by the settings alone.
        None => client
            .get("sasl.mechanism")
            .or(client.get("sasl.mechanisms"))
            .is_some(),
    };
    let protocol = match (sasl, definition.tls) {
        (false, false) => "plaintext",
        (false, true) => "ssl",
        (true, false) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    client.set("security.protocol", protocol);
    Ok(())
}

fn certificates(
    definition: &Definition,
    tls: &Tls,
    client: &mut ClientConfig,
) -> Result<(), BuildError> {
    if tls.cert.is_some() != tls.key.is_some() {
        let message = "a certificate and its key belong together";
        return Err(definition
            .error(message)
            .at("tls")
            .help("give both cert and key"));
    }
    let files = [
        ("tls.ca", "ssl.ca.location", &tls.ca),
        ("tls.cert", "ssl.certificate.location", &tls.cert),
        ("tls.key", "ssl.key.location", &tls.key),
    ];
    for (key, property, path) in files {
        if let Some(path) = path {
            let text = Path::to_str(path)
                .ok_or_else(|| definition.error("the path must be UTF-8").at(key))?;
            client.set(property, text);
        }
    }
    Ok(())
}

/// Sets user and password; the mechanism.
fn sasl(
    definition: &Definition,
    auth: &Auth,
    client: &mut ClientConfig,
) -> Result<String, BuildError> {
    if auth.token.is_some() || auth.api_key.is_some() {
        let error = definition.error("Kafka takes a user and a password, no token");
        return Err(error
            .at("auth")
            .help("write auth: { user, password, sasl }"));
    }
    let (Some(user), Some(password)) = (&auth.user, &auth.password) else {
        let error = definition.error("user and password belong together");
        return Err(error.at("auth").help("give both"));
    };
    let mechanism = auth.sasl.as_deref().unwrap_or("SCRAM-SHA-512");
    if !["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(&mechanism) {
        let error = definition.error(format!("there is no mechanism {mechanism:?}"));
        return Err(error
            .at("auth.sasl")
            .help("use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"));
    }
    client
        .set("sasl.mechanism", mechanism)
        .set("sasl.username", user)
        .set("sasl.password", password);
    Ok(mechanism.to_owned())
}

/// Lets librdkafka look at the properties; with no broker, it connects nowhere.
fn check(definition: &Definition, client: &ClientConfig) -> Result<(), BuildError> {
    let created: Result<BaseProducer<DefaultProducerContext>, _> = client.create();
    let (key, message) = match created {
        Ok(_) => return Ok(()),
        // Without the value: it may be a secret.
        Err(KafkaError::ClientConfig(_, message, key, _)) => (Some(key), message),
        Err(KafkaError::ClientCreation(message)) => (None, message),
        Err(other) => (None, other.to_string()),
    };
    let error = definition.error(format!("librdkafka: {message}"));
    Err(match key {
        Some(key) => error.at(&format!("settings.{key}")),
        None => error,
    })
}

/// The brokers beyond this machine to which a password would go in the clear.
pub(super) fn exposed<'a>(config: &Config, tls: bool, brokers: &'a str) -> Option<&'a str> {
    let is_loopback = |broker: &&str| {
        let host = broker.rsplit_once(':').map_or(*broker, |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
    };
    if tls || config.auth.is_none() {
        return None;
    }
    brokers.split(',').find(|broker| !is_loopback(broker))
}
