"""What an app logs in a day, through Python's logging in the layout named by the first argument."""
import logging
import sys

LAYOUTS = {
    "default": None,
    "docs": "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
    "plain": "%(asctime)s %(levelname)s %(name)s %(message)s",
    "bracket": "[%(asctime)s] %(levelname)s in %(module)s: %(message)s",
    "pid": "%(asctime)s %(levelname)-8s [%(process)d] [%(threadName)s] %(name)s:%(lineno)d - %(message)s",
}


def charge(order):
    if order % 3 == 0:
        raise ValueError(f"card declined for order {order}")
    return 100 / (order % 4)


def main():
    layout = LAYOUTS[sys.argv[1]]
    if layout is None:
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.basicConfig(level=logging.DEBUG, format=layout)
    root, pay, db = logging.getLogger(), logging.getLogger("shop.payments"), logging.getLogger("shop.db")
    root.info("starting on port %d", 8000)
    db.debug("connected to %s in %.3fs", "postgres://db/shop", 0.0123)
    for order in range(1, 9):
        pay.info("charging order %d: total=%.2f EUR", order, order * 9.99)
        db.debug("SELECT * FROM orders WHERE id = %d AND state != 'new' -- took 0.%03ds", order, order * 7)
        try:
            pay.info("order %d paid (%s)", order, charge(order))
        except ZeroDivisionError:
            pay.exception("order %d failed", order)
        except ValueError as error:
            pay.error("order %d refused: %s", order, error)
            if order == 6:
                logging.getLogger("shop").critical("too many refusals", exc_info=True)
    db.warning("slow query: 1523 ms")
    db.warning("pool is exhausted [10/10]: waiting\n  oldest: 12s\n  newest: 1s")
    pay.info("")
    root.info("ERROR rate is 0.25")
    root.warning('user "ann" sent {"json": true}')
    logging.getLogger("shop.mail").info("sent to ann@example.com – é ünïcode")
    root.critical("cannot reach broker at 10.0.0.5:9092, giving up")
    root.log(25, "custom level twenty-five")
    charge(8)


main()
