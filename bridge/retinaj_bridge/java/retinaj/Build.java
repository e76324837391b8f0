package retinaj;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;

/** What the plugin was built with: retinaj_bridge/plugin_jar.py writes it. */
final class Build {
    private static final Properties PROPERTIES = read();

    /** RetinaJ's version; the worker's must be the same. */
    static final String VERSION = PROPERTIES.getProperty("version");

    /** The default of `threshold`, as everywhere in RetinaJ. */
    static final double THRESHOLD = Double.parseDouble(PROPERTIES.getProperty("threshold"));

    private Build() {}

    private static Properties read() {
        Properties properties = new Properties();
        try (InputStream stream = Build.class.getResourceAsStream("build.properties")) {
            properties.load(stream);
        } catch (IOException error) {
            throw new IllegalStateException("RetinaJ's plugin is damaged: " + error.getMessage(), error);
        }
        return properties;
    }
}
