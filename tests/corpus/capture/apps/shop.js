// What an app logs in a day, through the Node.js library named by the first argument.
const [, , library] = process.argv;
function work(log, failed) {
  for (let order = 1; order <= 12; order++) {
    log("info", `order ${order} placed`, { order, total: order * 9.5 });
    log("debug", `cache miss for key user:${order}`, { key: `user:${order}` });
    if (order % 3 === 0) log("warn", `stock of item ${order} is low: ERROR margin 2`, { item: order });
    if (order % 4 === 0) log("error", `payment ${order} declined`, { reason: "insufficient funds" });
    if (order % 5 === 0) { try { null.total; } catch (error) { failed(error, order); } }
  }
  log("info", 'user "ann" – é ünïcode \\ path', {});
}
const all = {
  pino() {
    const log = require("pino")({ level: "trace", name: "shop" });
    log.trace("fine"); work((l, t, o) => log[l](o, t), (e, order) => log.error({ err: e, order }, "order failed")); log.fatal("cannot reach broker");
  },
  pino_iso() {
    const pino = require("pino");
    const log = pino({ level: "trace", base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) }, messageKey: "message" });
    work((l, t, o) => log[l](o, t), (e, order) => log.error({ err: e, order }, "order failed")); log.fatal("cannot reach broker");
  },
  winston() {
    const w = require("winston");
    const log = w.createLogger({ level: "silly", format: w.format.combine(w.format.timestamp(), w.format.errors({ stack: true }), w.format.json()), transports: [new w.transports.Console()] });
    work((l, t, o) => log.log(l, t, o), (e) => log.error(e)); log.verbose("done");
  },
  winston_printf() {
    const w = require("winston");
    const line = w.format.printf(({ level, message, label, timestamp }) => `${timestamp} [${label}] ${level}: ${message}`);
    const log = w.createLogger({ level: "silly", format: w.format.combine(w.format.label({ label: "shop" }), w.format.timestamp(), line), transports: [new w.transports.Console()] });
    work((l, t, o) => log.log(l, t, o), (e) => log.error(e.stack)); log.verbose("done");
  },
  winston_simple() {
    const w = require("winston");
    const log = w.createLogger({ level: "debug", format: w.format.simple(), transports: [new w.transports.Console()] });
    work((l, t, o) => log.log(l, t, o), (e) => log.error(e.stack));
  },
  bunyan() {
    const log = require("bunyan").createLogger({ name: "shop", level: "trace" });
    log.trace("fine"); work((l, t, o) => log[l](o, t), (e) => log.error(e, "order failed")); log.fatal("cannot reach broker");
  },
  log4js() {
    const l4 = require("log4js");
    l4.configure({ appenders: { o: { type: "stdout", layout: { type: "basic" } } }, categories: { default: { appenders: ["o"], level: "trace" } } });
    const log = l4.getLogger("shop"); log.trace("fine"); work((l, t) => log[l](t), (e) => log.error("order failed", e)); log.fatal("cannot reach broker");
  },
  morgan() {
    const app = require("express")(); const morgan = require("morgan"); const http = require("http");
    morgan.token("remote-addr", () => "10.0.0.7");
    app.use(morgan(process.argv[3]));
    app.get("/", (q, r) => r.send("ok")); app.get("/slow", (q, r) => setTimeout(() => r.send("late"), 50));
    app.get("/boom", () => { throw new Error("no stock left"); });
    app.use((e, q, r, n) => r.status(500).send("failed"));
    const server = app.listen(8010, "127.0.0.1", async () => {
      for (let i = 0; i < 12; i++) for (const [path, method] of [["/", "GET"], [`/missing?n=${i}`, "GET"], ["/boom", "GET"], ["/slow", "POST"], ["/", "HEAD"]])
        await new Promise((done) => http.request({ port: 8010, host: "127.0.0.1", path, method, headers: { "user-agent": `shop/${i}`, referer: "https://shop.example.com/" } }, (r) => { r.resume(); r.on("end", done); }).end());
      server.close(); server.closeAllConnections();
    });
  },
  fastify() {
    const app = require("fastify")({ logger: { level: "trace" } });
    app.get("/", async () => "ok"); app.get("/boom", async () => { throw new Error("no stock left"); });
    app.listen({ port: 8011, host: "127.0.0.1" }, async () => {
      for (let i = 0; i < 5; i++) for (const path of ["/", "/missing", "/boom"]) await (await fetch(`http://127.0.0.1:8011${path}`)).text();
      await app.close();
    });
  },
  console() {
    const { debuglog } = require("util");
    work((l, t, o) => console[l](`${new Date().toISOString()} ${l.toUpperCase()} ${t}`), (e) => console.error(e));
    debuglog("shop")("connected to %s", "db"); process.emitWarning("old API", "DeprecationWarning", "DEP0001"); setTimeout(() => null.boom, 10);
  },
};
all[library]();
