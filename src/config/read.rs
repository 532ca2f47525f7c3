//! The merged tree to the typed config: every key checked, every error kept.

use std::path::PathBuf;

use super::component::Component;
use super::diagnostic::Diagnostic;
use super::document::{Entry, Node, Value};
use super::env::Addition;
use super::interpolate::Variables;
use super::keys::{self, nearest};
use super::place::{Origin, Place, Spanned};
use super::secret::Secrets;
use super::url::{self, Side};
use super::{
    Config, GRACE_DEFAULT, HttpConfig, Inputs, ListenerTls, MEMORY_DEFAULT, PARSE_DEFAULT,
    RouteConfig, SinkConfig, SourceConfig, WhenFull, wrapped,
};
use crate::source::Generate;
use crate::source::http::CONNECTIONS_PER_PEER;

/// Components given by URL, over those of the tree.
pub(super) struct Additions {
    pub(super) from: Vec<Addition>,
    pub(super) to: Vec<Addition>,
}

/// Reads the tree and collects what is wrong with it.
pub(super) struct Reader<'a> {
    pub(super) variables: Variables<'a>,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) secrets: Secrets,
}

/// The known keys of a map, to be taken one by one.
pub(super) struct Fields {
    pub(super) entries: Vec<Entry>,
}

impl Fields {
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.key.value == key)?;
        let node = self.entries.remove(at).node;
        // `key:` with nothing after it says nothing.
        (!matches!(node.value, Value::Null)).then_some(node)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a [(String, String)], errors: Vec<Diagnostic>) -> Reader<'a> {
        Reader {
            variables: Variables::new(env),
            errors,
            warnings: Vec::new(),
            secrets: Secrets::default(),
        }
    }

    /// Errors, other findings, secrets.
    pub(super) fn finish(self) -> (Vec<Diagnostic>, Vec<Diagnostic>, Secrets) {
        (self.errors, self.warnings, self.secrets)
    }

    /// Reads everything; none if something essential could not be read.
    pub(super) fn config(
        &mut self,
        root: Node,
        additions: Additions,
        inputs: &Inputs,
    ) -> Option<Config> {
        let mut top = self.map("the config", root, keys::TOP)?;
        let state = top.take("state").and_then(|node| self.text("state", &node));
        let http = top.take("http").and_then(|node| self.http(node));
        let memory = self.size(&mut top, "memory");
        let grace = top
            .take("grace")
            .and_then(|node| self.period("grace", &node));
        let line_max = self.size(&mut top, "line_max");
        let sources = self.components(top.take("sources"), additions.from, Side::Source);
        let sinks = self.components(top.take("sinks"), additions.to, Side::Sink);
        let names = |list: &[(Spanned<String>, Node)]| {
            list.iter().map(|(name, _)| name.value.clone()).collect()
        };
        let (source_names, sink_names): (Vec<_>, Vec<_>) = (names(&sources), names(&sinks));
        let routes = top.take("routes").and_then(|node| self.routes(node));
        for route in routes.iter().flatten() {
            self.check_names(&source_names, route.from.as_deref(), Side::Source);
            self.check_names(&sink_names, route.to.as_deref(), Side::Sink);
        }
        let tests = top.take("tests").map(|node| self.tests(node));
        for test in tests.iter().flatten() {
            let expected: Vec<_> = test.expect.iter().map(|(sink, _)| sink.clone()).collect();
            self.check_names(&source_names, Some(test.source.as_slice()), Side::Source);
            self.check_names(&sink_names, Some(&expected), Side::Sink);
        }
        let sources = sources
            .into_iter()
            .filter_map(|(name, node)| self.source(&name, node, inputs))
            .collect();
        let sinks = sinks
            .into_iter()
            .filter_map(|(name, node)| self.sink(&name, node, inputs))
            .collect();
        Some(Config {
            state: state.map(|state| Spanned {
                value: PathBuf::from(state.value),
                place: state.place,
            }),
            http,
            memory: memory.unwrap_or(MEMORY_DEFAULT),
            grace: grace.unwrap_or(GRACE_DEFAULT),
            line_max,
            sources,
            routes,
            sinks,
            tests: tests.unwrap_or_default(),
        })
    }

    fn http(&mut self, node: Node) -> Option<HttpConfig> {
        let (mut tls, mut connections_per_peer) = (None, CONNECTIONS_PER_PEER);
        let listen = match node.value {
            Value::Map(_) => {
                let place = node.place.clone();
                let mut fields = self.map("`http`", node, keys::HTTP)?;
                let Some(listen) = fields.take("listen") else {
                    self.error("config::missing", "`http` has no `listen`", &place);
                    return None;
                };
                if let Some(node) = fields.take("tls") {
                    tls = Some(self.http_tls(node)?);
                }
                if let Some(node) = fields.take("connections_per_peer") {
                    connections_per_peer = self.count("http.connections_per_peer", &node)?;
                }
                listen
            }
            _ => node,
        };
        let mut listen = self.text("http.listen", &listen)?;
        let (host, port) = listen.value.rsplit_once(':').unwrap_or(("", ""));
        if port.parse::<u16>().is_err() {
            let message = "the address of `http` must be `host:port` or `:port`";
            self.error("config::address", message, &listen.place);
            return None;
        }
        if host.is_empty() {
            // Nothing that was not asked for is open to the network.
            listen.value.insert_str(0, "127.0.0.1");
        }
        Some(HttpConfig {
            listen,
            tls,
            connections_per_peer,
        })
    }

    fn http_tls(&mut self, node: Node) -> Option<ListenerTls> {
        let place = node.place.clone();
        let mut fields = self.map("`http.tls`", node, keys::HTTP_TLS)?;
        let mut file = |key: &str| {
            let node = fields.take(key)?;
            self.text(&format!("http.tls.{key}"), &node)
        };
        let (cert, key, ca) = (file("cert"), file("key"), file("ca"));
        let (Some(cert), Some(key)) = (cert, key) else {
            let message = "`http.tls` needs `cert` and `key`";
            self.error("config::missing", message, &place);
            return None;
        };
        Some(ListenerTls {
            cert: cert.value.into(),
            key: key.value.into(),
            ca: ca.map(|ca| ca.value.into()),
        })
    }

    fn source(
        &mut self,
        name: &Spanned<String>,
        node: Node,
        inputs: &Inputs,
    ) -> Option<SourceConfig> {
        let Component {
            mut definition,
            mut shared,
            places,
        } = self.component(name, node, Side::Source)?;
        if let Some(multiline) = &inputs.multiline
            && definition.scheme != Generate::NAME
        {
            let multiline = multiline.as_str().into();
            definition.options.insert("multiline".to_owned(), multiline);
        }
        let parse = shared
            .take("parse")
            .and_then(|node| self.text("parse", &node));
        let with = self.with(shared.take("with"));
        let parse = flag("--parse", inputs.parse.as_ref()).or(parse);
        let mut source = SourceConfig {
            name: name.value.clone(),
            definition,
            parse: parse.unwrap_or_else(|| Spanned {
                value: PARSE_DEFAULT.to_owned(),
                place: Place::of(Origin::Default),
            }),
            with,
            places,
        };
        wrapped::unwrap(&mut source);
        Some(source)
    }

    fn sink(&mut self, name: &Spanned<String>, node: Node, inputs: &Inputs) -> Option<SinkConfig> {
        let Component {
            definition,
            mut shared,
            places,
        } = self.component(name, node, Side::Sink)?;
        let encode = shared
            .take("encode")
            .and_then(|node| self.text("encode", &node));
        let required = self.flag(&mut shared, "required").unwrap_or(true);
        let buffer = shared.take("buffer");
        let buffer = buffer.and_then(|node| self.buffer(&name.value, node));
        let when_full = shared.take("when_full");
        let when_full = when_full.and_then(|node| self.when_full(&node, required));
        let default = if required {
            WhenFull::Block
        } else {
            WhenFull::DropNewest
        };
        let with = self.with(shared.take("with"));
        let mut text = |key| shared.take(key).and_then(|node| self.text(key, &node));
        let (dead_letter, fallback) = (text("dead_letter"), text("fallback"));
        Some(SinkConfig {
            name: name.value.clone(),
            definition,
            encode: flag("--output", inputs.encode.as_ref()).or(encode),
            required,
            buffer: buffer.unwrap_or_default(),
            when_full: when_full.unwrap_or(default),
            with,
            dead_letter,
            fallback,
            places,
        })
    }

    fn when_full(&mut self, node: &Node, required: bool) -> Option<WhenFull> {
        let when_full = match self.word("when_full", node, keys::WHEN_FULL)? {
            "drop_newest" => WhenFull::DropNewest,
            "drop_oldest" => WhenFull::DropOldest,
            _ => WhenFull::Block,
        };
        let (message, help) = match (required, when_full == WhenFull::Block) {
            (true, false) => (
                "a required sink never drops: `when_full` must be `block`",
                "write `required: false` if events may be lost here",
            ),
            (false, true) => (
                "a sink that is not required never holds others up: it cannot block",
                "write `drop_newest` or `drop_oldest`, or `required: true`",
            ),
            _ => return Some(when_full),
        };
        let error = Diagnostic::error("config::when_full", message).at(&node.place);
        self.errors.push(error.help(help));
        None
    }

    fn routes(&mut self, node: Node) -> Option<Vec<RouteConfig>> {
        let Value::List(items) = node.value else {
            let message = format!("`routes` must be a list, not {}", node.kind());
            self.error("config::type", message, &node.place);
            return None;
        };
        let mut routes: Vec<RouteConfig> = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let place = item.place.clone();
            let Some(route) = self.route(item, index) else {
                continue;
            };
            if routes.iter().any(|known| known.name == route.name) {
                let message = format!("two routes are named `{}`", route.name);
                self.error("config::name", message, &place);
            }
            routes.push(route);
        }
        Some(routes)
    }

    fn route(&mut self, node: Node, index: usize) -> Option<RouteConfig> {
        let place = node.place.clone();
        let mut fields = self.map("a route", node, keys::ROUTE)?;
        let name = fields
            .take("name")
            .and_then(|node| self.text("name", &node));
        if let Some(name) = &name {
            self.check_name(name, "route");
        }
        let name = name.map_or_else(|| format!("route_{}", index + 1), |name| name.value);
        let from = fields.take("from").map(|node| self.names("from", node));
        let when = fields.take("when").and_then(|node| self.rule(&node));
        let to = fields.take("to").map(|node| self.names("to", node));
        let drop = self.flag(&mut fields, "drop").unwrap_or(false);
        let r#continue = self.flag(&mut fields, "continue").unwrap_or(false);
        let with = self.with(fields.take("with"));
        let fault = match (&to, drop) {
            (Some(_), true) => Some("has both `to` and `drop`"),
            (None, false) => Some("has neither `to` nor `drop: true`"),
            (None, true) if r#continue => Some("drops, so it cannot `continue`"),
            _ => None,
        };
        if let Some(fault) = fault {
            let error = Diagnostic::error("config::route", format!("route `{name}` {fault}"));
            let help = "a route either sends events to sinks or drops them";
            self.errors.push(error.at(&place).help(help));
        }
        Some(RouteConfig {
            name,
            from,
            when,
            to,
            drop,
            r#continue,
            with,
            place,
        })
    }

    /// The components of a side: those of the tree, then those given by URL;
    /// the default one if there are none.
    fn components(
        &mut self,
        node: Option<Node>,
        additions: Vec<Addition>,
        side: Side,
    ) -> Vec<(Spanned<String>, Node)> {
        let mut components: Vec<(Spanned<String>, Node)> = Vec::new();
        match node.map(|node| (node.kind(), node)) {
            Some((
                _,
                Node {
                    value: Value::Map(entries),
                    ..
                },
            )) => {
                for entry in entries {
                    self.check_name(&entry.key, side.name());
                    components.push((entry.key, entry.node));
                }
            }
            Some((kind, node)) => {
                let message = format!(
                    "`{}s` must be a map from names to URLs, not {kind}",
                    side.name()
                );
                self.error("config::type", message, &node.place);
            }
            None => {}
        }
        for Addition { name, url } in additions {
            let name = match name {
                Some(name) => name,
                None => match self.mask(&url) {
                    Some(masked) => free_name(&url::default_name(&masked), &components),
                    None => continue,
                },
            };
            let name = Spanned {
                value: name,
                place: url.place.clone(),
            };
            self.check_name(&name, side.name());
            match components
                .iter_mut()
                .find(|(known, _)| known.value == name.value)
            {
                Some(known) => *known = (name, url),
                None => components.push((name, url)),
            }
        }
        if components.is_empty() && self.errors.is_empty() {
            let default = if side == Side::Source {
                "stdin"
            } else {
                "stdout"
            };
            let place = Place::of(Origin::Default);
            let name = Spanned {
                value: default.to_owned(),
                place: place.clone(),
            };
            components.push((name, Node::string(default.to_owned(), place)));
        }
        components
    }

    fn check_names(&mut self, known: &[String], used: Option<&[Spanned<String>]>, side: Side) {
        for name in used.into_iter().flatten() {
            if known.contains(&name.value) {
                continue;
            }
            let side = side.name();
            let near = nearest(&name.value, known.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let error = Diagnostic::error(
                "config::unknown_name",
                format!("there is no {side} `{}`", name.value),
            );
            let help = format!("{near}{side}s are {}", known.join(", "));
            self.errors.push(error.at(&name.place).help(help));
        }
    }

    fn check_name(&mut self, name: &Spanned<String>, what: &str) {
        let text = &name.value;
        let valid = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !text.contains("__");
        if !valid {
            let message = format!("`{text}` cannot name a {what}");
            let help = "names are a lower-case letter, then letters, digits and single underscores";
            let error = Diagnostic::error("config::name", message).at(&name.place);
            self.errors.push(error.help(help));
        }
    }
}

/// `name`, or the first of `name_2`, `name_3` … that nothing has.
fn free_name(name: &str, taken: &[(Spanned<String>, Node)]) -> String {
    let is_free = |name: &str| !taken.iter().any(|(known, _)| known.value == name);
    let mut free = name.to_owned();
    let mut number = 1_u32;
    while !is_free(&free) {
        number += 1;
        free = format!("{name}_{number}");
    }
    free
}

fn flag(name: &str, value: Option<&String>) -> Option<Spanned<String>> {
    value.map(|value| Spanned {
        value: value.clone(),
        place: Place::of(Origin::Flag(name.to_owned())),
    })
}
