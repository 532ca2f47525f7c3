"""A small WSGI/ASGI app with a page that fails; structlog and loguru lines on request."""
import sys


def wsgi(environ, start):
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise RuntimeError("no stock left")
    if path == "/hang":
        import time
        time.sleep(10)
    if path == "/exit":
        import os
        os._exit(1)
    start("404 Not Found" if path != "/" else "200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/boom":
        raise RuntimeError("no stock left")
    await send({"type": "http.response.start", "status": 200 if scope["path"] == "/" else 404, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def structured(json):
    import structlog
    last = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    steps = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), structlog.processors.format_exc_info, last]
    structlog.configure(processors=steps, logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    log = structlog.get_logger(service="shop")
    work(log, lambda text, **kv: log.exception(text, **kv))


def work(log, failed):
    for order in range(1, 13):
        log.info("order placed", order=order, total=order * 9.99)
        log.debug("cache miss", key=f"user:{order}")
        if order % 3 == 0:
            log.warning("stock is low", item=order, left=2)
        if order % 4 == 0:
            log.error("payment declined", order=order, reason="insufficient funds")
        if order % 5 == 0:
            try:
                1 / 0
            except ZeroDivisionError:
                failed("order failed", order=order)
    log.critical("cannot reach broker", host="10.0.0.5:9092")


def loguru():
    from loguru import logger
    logger.trace("too fine"); logger.success("migrated the schema")

    class Log:
        def __getattr__(self, name):
            return lambda text, **kv: getattr(logger, name)(text + " {}", kv)
    work(Log(), lambda text, **kv: logger.exception(text))


def jsonlog():
    import logging
    from pythonjsonlogger.json import JsonFormatter
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])
    inner = logging.getLogger("shop")

    class Log:
        def __getattr__(self, name):
            return lambda text, **kv: getattr(inner, name)(text, extra=kv)
    work(Log(), lambda text, **kv: inner.exception(text, extra=kv))


if __name__ == "__main__":
    {"structlog": lambda: structured(False), "structlog_json": lambda: structured(True), "loguru": loguru, "json": jsonlog}[sys.argv[1]]()
