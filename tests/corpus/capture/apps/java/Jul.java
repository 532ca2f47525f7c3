import java.util.Map;
import java.util.logging.Level;
class Jul implements Shop.Log {
    private static final Map<String, Level> LEVELS = Map.of("trace", Level.FINEST, "debug", Level.FINE, "info", Level.INFO, "warn", Level.WARNING, "error", Level.SEVERE);
    private final java.util.logging.Logger log = java.util.logging.Logger.getLogger("com.example.shop.OrderService");
    public void at(String level, String text, Throwable error) { log.log(LEVELS.get(level), text, error); }
}
