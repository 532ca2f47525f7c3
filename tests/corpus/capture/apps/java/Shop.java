// What an app logs in a day, through slf4j, log4j2 or java.util.logging (the first argument).
import java.util.function.BiConsumer;

public class Shop {
    interface Log { void at(String level, String text, Throwable error); }

    static int charge(int order) {
        if (order % 5 == 0) throw new IllegalStateException("card declined", new java.io.IOException("connection reset by peer"));
        return order;
    }

    static void work(Log log) {
        for (int order = 1; order <= 12; order++) {
            log.at("info", "order " + order + " placed", null);
            log.at("debug", "cache miss for key user:" + order, null);
            if (order % 3 == 0) log.at("warn", "stock of item " + order + " is low: ERROR margin 2", null);
            if (order % 4 == 0) log.at("error", "payment " + order + " declined: insufficient funds", null);
            try { charge(order); } catch (IllegalStateException e) { log.at("error", "order " + order + " failed", e); }
        }
        log.at("trace", "SELECT * FROM orders WHERE id = 7", null);
        log.at("info", "user \"ann\" - é ünïcode [a] (b)", null);
        log.at("warn", "two lines:\n  second line", null);
        Thread worker = new Thread(() -> log.at("info", "from another thread", null), "pool-1-thread-1");
        worker.start();
        try { worker.join(); } catch (InterruptedException e) { throw new RuntimeException(e); }
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "slf4j" -> work(new Slf4j());
            case "log4j2" -> work(new Log4j());
            default -> work(new Jul());
        }
    }
}
