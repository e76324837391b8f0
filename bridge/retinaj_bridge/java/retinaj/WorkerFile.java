package retinaj;

import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Properties;

/** How to reach the worker: what it wrote into its file (retinaj_bridge/worker_file.py). */
final class WorkerFile {
    private static final String NAME = "worker.properties";
    private static final int MOST_BYTES = 10_000;

    final int port;
    final String token;
    final String proof;
    final String version;

    /**
     * @param port on 127.0.0.1
     * @param token what to say to it first
     * @param proof what it answers to that; empty where that is not asked for
     * @param version of RetinaJ that it runs
     */
    WorkerFile(int port, String token, String proof, String version) {
        this.port = port;
        this.token = token;
        this.proof = proof;
        this.version = version;
    }

    /** What the file says; null if there is none, or if it is none that only this user could write. */
    static WorkerFile read() {
        Path file = Home.folder().resolve(NAME);
        try {
            if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) > MOST_BYTES || !PrivateFolder.isOwn(file)) {
                return null;
            }
            Properties properties = new Properties();
            try (Reader reader = new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8)) {
                properties.load(reader);
            }
            String token = properties.getProperty("token", "");
            String proof = properties.getProperty("proof", "");
            int port = Integer.parseInt(properties.getProperty("port", ""));
            if (token.isEmpty() || proof.isEmpty() || port < 1 || port > 65535) {
                return null;
            }
            return new WorkerFile(port, token, proof, properties.getProperty("version", ""));
        } catch (IOException | IllegalArgumentException error) {
            return null;
        }
    }

    boolean isSame(WorkerFile other) {
        return other != null && other.token.equals(token);
    }
}
