class Log4j implements Shop.Log {
    private final org.apache.logging.log4j.Logger log = org.apache.logging.log4j.LogManager.getLogger("com.example.shop.OrderService");
    public void at(String level, String text, Throwable error) {
        log.log(org.apache.logging.log4j.Level.valueOf(level), text, error);
    }
}
