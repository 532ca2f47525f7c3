class Slf4j implements Shop.Log {
    private final org.slf4j.Logger log = org.slf4j.LoggerFactory.getLogger("com.example.shop.OrderService");
    public void at(String level, String text, Throwable error) {
        log.atLevel(org.slf4j.event.Level.valueOf(level.toUpperCase())).setCause(error).log(text);
    }
}
