//! What web servers, proxies and load balancers write for each request.

use super::Format;

/// The request line in quotes: the message, and its parts if it has them.
macro_rules! request {
    () => {
        "{message:quoted=[{http.method:word} {http.path} {http.protocol:word}]}"
    };
}

/// The Common Log Format up to the response's size.
macro_rules! common {
    () => {
        concat!(
            "{client:word} {ident:word} {user} [{timestamp:%d/%b/%Y:%H:%M:%S %z}] ",
            request!(),
            " {http.status:int} {http.bytes:int}",
        )
    };
}

/// Who connected where, as `HAProxy` begins its lines, with syslog's head or without.
macro_rules! haproxy {
    () => {
        concat!(
            "{?{?<{_:int}>?}{_:%b %e %H:%M:%S} {host:word} {service:word}[{pid:int}]: ?}",
            "{client:ip}:{client_port:int} [{timestamp:%d/%b/%Y:%H:%M:%S.%f}] {frontend:word} ",
        )
    };
}

pub(super) const FORMATS: &[Format] = &[
    // Apache's `%v:%p` before the combined format: httpd.apache.org/docs/2.4/logs.html
    // ("Virtual Hosts"), Debian's `vhost_combined`.
    Format {
        name: "vhost_combined",
        templates: &[concat!(
            "{http.host:word}:{http.port:int} ",
            common!(),
            " {referrer:quoted} {user_agent:quoted}",
        )],
        auto: 1,
        json: false,
    },
    // httpd.apache.org/docs/2.4/mod/mod_log_config.html,
    // nginx.org/en/docs/http/ngx_http_log_module.html (`combined`, and the `main` of its packages).
    Format {
        name: "combined",
        templates: &[concat!(
            common!(),
            "{? {referrer:quoted} {user_agent:quoted}{? {forwarded_for:quoted}?}?}",
        )],
        auto: 1,
        json: false,
    },
    Format {
        name: "clf",
        templates: &[common!()],
        // `combined` reads it too.
        auto: 0,
        json: false,
    },
    // doc.traefik.io/traefik/observability/access-logs (CLF with extensions, or JSON).
    Format {
        name: "traefik",
        templates: &[concat!(
            common!(),
            " {referrer:quoted} {user_agent:quoted} {requests:int} {router:quoted} ",
            "{upstream:quoted} {duration_ms:int}ms",
        )],
        auto: 1,
        json: true,
    },
    // docs.haproxy.org/3.0/configuration.html §8.2: HTTP, TCP and error log formats.
    Format {
        name: "haproxy",
        templates: &[
            concat!(
                haproxy!(),
                "{backend:word}/{server:word} ",
                "{timers.request:int}/{timers.queue:int}/{timers.connect:int}/{timers.response:int}/",
                "{?+?}{duration_ms:int} {http.status:int} {?+?}{http.bytes:int} ",
                "{request_cookie:word} {response_cookie:word} {termination:word} ",
                "{connections:word} {queues:word} ",
                "{?\\{{request_headers}\\} ?}{?\\{{response_headers}\\} ?}",
                request!(),
            ),
            concat!(
                haproxy!(),
                "{backend:word}/{server:word} {timers.queue:int}/{timers.connect:int}/",
                "{?+?}{duration_ms:int} {?+?}{bytes:int} {termination:word} ",
                "{connections:word} {queues:word}",
            ),
            concat!(haproxy!(), "{message:rest}"),
        ],
        auto: 2,
        json: false,
    },
    // www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
    // ("Default Format String"), and Istio's, which adds details of the response. The
    // third is Envoy's own log (`%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v`).
    Format {
        name: "envoy",
        templates: &[
            concat!(
                "[{timestamp:%+}] ",
                request!(),
                " {http.status:int} {response_flags:word} {http.request_bytes:int} ",
                "{http.bytes:int} {duration_ms:int} {upstream_ms:int} {forwarded_for:quoted} ",
                "{user_agent:quoted} {request_id:quoted} {http.host:quoted} {upstream:quoted}",
                "{? {_:rest}?}",
            ),
            concat!(
                "[{timestamp:%+}] ",
                request!(),
                " {http.status:int} {response_flags:word} {response_details:word} ",
                "{termination:word} {upstream_failure:quoted} {http.request_bytes:int} ",
                "{http.bytes:int} {duration_ms:int} {upstream_ms:int} {forwarded_for:quoted} ",
                "{user_agent:quoted} {request_id:quoted} {http.host:quoted} {upstream:quoted}",
                "{? {upstream_cluster:word} {upstream_local:word} {downstream_local:word} ",
                "{downstream_remote:word} {server_name:word} {route:word}?}",
            ),
            "[{timestamp:%+}][{tid:int}][{level:level}][{logger}] {?[{caller:word}] ?}{message:rest}",
        ],
        auto: 3,
        json: true,
    },
    // docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html;
    // fields that were added later end the line.
    Format {
        name: "alb",
        templates: &[concat!(
            "{scheme:word} {timestamp:%+} {balancer:word} {client:ip}:{client_port:int} ",
            "{upstream:word} {request_processing_time:float} {target_processing_time:float} ",
            "{response_processing_time:float} {http.status:int} {target_status:int} ",
            "{http.request_bytes:int} {http.bytes:int} ",
            request!(),
            " {user_agent:quoted} {tls_cipher:word} {tls_protocol:word}",
            "{? {target_group:word} {request_id:quoted}{? {http.host:quoted} {certificate:quoted} ",
            "{rule_priority:word} {request_created:word} {actions:quoted} {redirect:quoted} ",
            "{error_reason:quoted}{? {targets:quoted} {target_statuses:quoted}{? {_:rest}?}?}?}?}",
        )],
        auto: 1,
        json: false,
    },
    // devcenter.heroku.com/articles/http-routing ("Heroku router log format").
    Format {
        name: "heroku",
        templates: &[concat!(
            "{?{timestamp:%+} {source:word}[{process:word}]: ?}",
            "{?sock={_:word} ?}at={level:level} {?code={code:word} ?}{?desc={desc:quoted} ?}",
            "{?sock={socket:word} ?}",
            "{message=[method={http.method:word} path={http.path:quoted}]} ",
            "host={http.host:word} request_id={request_id:word} fwd={client:quoted} ",
            "dyno={dyno:word} connect={connect_ms:int}{?ms?} service={duration_ms:int}{?ms?} ",
            "status={http.status:int} bytes={http.bytes:int}{? protocol={scheme:word}{? {_:rest}?}?}",
        )],
        auto: 1,
        json: false,
    },
    // www.uvicorn.org/settings/#logging: its access log on a terminal's stdout.
    Format {
        name: "uvicorn",
        templates: &[concat!(
            "{level:level}: {client:ip}:{client_port:int} - ",
            request!(),
            " {http.status:int}{? {reason:rest}?}",
        )],
        auto: 1,
        json: false,
    },
    // django.core.servers.basehttp: `[%(server_time)s] "%s" %s %s`.
    Format {
        name: "django",
        templates: &[concat!(
            "[{timestamp:%d/%b/%Y %H:%M:%S}] ",
            request!(),
            " {http.status:int} {http.bytes:int}",
        )],
        auto: 1,
        json: false,
    },
    // guides.rubyonrails.org/debugging_rails_applications.html: lines of the request log,
    // tagged with a request's id or not.
    Format {
        name: "rails",
        templates: &[
            concat!(
                "{?[{request_id:word}] ?}Started ",
                "{message=[{http.method:word} \"{http.path}\"]} for {client:ip} ",
                "at {timestamp:%Y-%m-%d %H:%M:%S %z}",
            ),
            concat!(
                "{?[{request_id:word}] ?}Completed ",
                "{message=[{http.status:int} {reason}]} in {duration_ms:int}ms{? ({timings})?}",
            ),
            "{?[{request_id:word}] ?}Processing by {handler:word} as {format:word}",
        ],
        auto: 3,
        json: false,
    },
];
