package retinaj;

import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.CodeSource;
import java.util.Properties;

/** Where Fiji and the worker find each other, and what `retinaj fiji install` left beside the plugin. */
final class Home {
    /** What it left: a file beside the jar, with the key "python". */
    static final String INSTALLED = "retinaj.properties";

    private Home() {}

    /**
     * The folder in which the worker's file lies, as retinaj.user_folders.state_folder in Python: the system property
     * retinaj.home (for tests), else the environment variable RETINAJ_HOME, else .retinaj in the home folder.
     */
    static Path folder() {
        String chosen = System.getProperty("retinaj.home", System.getenv("RETINAJ_HOME"));
        if (chosen != null && !chosen.isEmpty()) {
            return Paths.get(chosen).toAbsolutePath();
        }
        // Python goes by HOME, too; Java's own idea of the home folder differs from it in some containers and under sudo.
        String home = isWindows() ? null : System.getenv("HOME");
        return Paths.get(home == null || home.isEmpty() ? System.getProperty("user.home") : home, ".retinaj");
    }

    /**
     * The Python that has RetinaJ: the system property retinaj.python, else what `retinaj fiji install` wrote down.
     *
     * @throws RetinaJException if neither says
     */
    static Path python() throws RetinaJException {
        String python = System.getProperty("retinaj.python", installed().getProperty("python", ""));
        if (python.trim().isEmpty()) {
            throw new RetinaJException("RetinaJ's plugin does not know which Python has RetinaJ. Install it by the command "
                    + "`retinaj fiji install`, in that Python's environment, and restart Fiji.");
        }
        return Paths.get(python.trim());
    }

    static boolean isWindows() {
        return System.getProperty("os.name").startsWith("Windows");
    }

    /** Empty if there is no such file, or if it cannot be read. */
    private static Properties installed() {
        Properties properties = new Properties();
        CodeSource source = Home.class.getProtectionDomain().getCodeSource();
        if (source == null) {
            return properties;
        }
        try {
            Path file = Paths.get(source.getLocation().toURI()).resolveSibling(INSTALLED);
            if (Files.isRegularFile(file)) {
                try (Reader reader = new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8)) {
                    properties.load(reader);
                }
            }
        } catch (IOException | URISyntaxException | IllegalArgumentException error) {
            properties.clear();
        }
        return properties;
    }
}
