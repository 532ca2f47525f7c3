// Starts one OpenSearch node in this JVM: Node HOME.
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

public class Node {
    static final class Embedded extends org.opensearch.node.Node {
        Embedded(org.opensearch.env.Environment env) { super(env, List.<Class<? extends Plugin>>of(Netty4Plugin.class), true); }
    }
    public static void main(String[] args) throws Exception {
        Settings s = Settings.builder().put("path.home", args[0]).put("node.name", "n1").put("cluster.name", "shop").put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1").put("http.port", "9200").put("transport.port", "9300").put("http.type", "netty4").put("transport.type", "netty4").build();
        Embedded node = new Embedded(InternalSettingsPreparer.prepareEnvironment(s, Map.of(), Path.of(args[0], "config"), () -> "n1"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> { try { node.close(); } catch (java.io.IOException e) { throw new RuntimeException(e); } }));
        node.start();
        Thread.currentThread().join();
    }
}
