package retinaj;

import ij.IJ;
import ij.plugin.PlugIn;
import java.awt.GraphicsEnvironment;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The command "RetinaJ Help", and the pages of help, which lie in the jar: no network is needed. */
public final class Help implements PlugIn {
    static final String COMMAND = "RetinaJ Help";
    private static final String FIRST = "index";

    @Override
    public void run(String argument) {
        Failure.guard(COMMAND, () -> {
            if (GraphicsEnvironment.isHeadless() || IJ.getInstance() == null) {
                IJ.log(plain(page(FIRST)));
            } else {
                PageWindow.show(COMMAND, page(FIRST));
            }
        });
    }

    /**
     * A page as HTML. Its links lead to other pages: help:detect.
     *
     * @param name of the file in the folder help, without .html: detect, folder, annotations, retrain, info or index
     */
    static String page(String name) {
        try (InputStream stream = Help.class.getResourceAsStream("help/" + name + ".html")) {
            if (stream == null) {
                throw new IllegalArgumentException("RetinaJ has no page of help " + name);
            }
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] some = new byte[8192];
            for (int count = stream.read(some); count >= 0; count = stream.read(some)) {
                content.write(some, 0, count);
            }
            return new String(content.toByteArray(), StandardCharsets.UTF_8);
        } catch (IOException error) {
            throw new IllegalStateException("RetinaJ's plugin is damaged: " + error.getMessage(), error);
        }
    }

    /** A page for the button Help of a dialog: without links, which ImageJ would open in a browser. */
    static String forDialog(String name) {
        return page(name).replaceAll("</?a\\b[^>]*>", "");
    }

    /** The text of a page, for where there is no window. */
    static String plain(String page) {
        return page.replaceAll("\\s+", " ")
                .replaceAll("(?i)</?(h\\d|p|table|ul|ol|pre|body|html)[^>]*>", "\n\n")
                .replaceAll("(?i)<li[^>]*>", "\n- ")
                .replaceAll("(?i)<(br|tr)[^>]*>", "\n")
                .replaceAll("(?i)</td>", " ")
                .replaceAll("<[^>]+>", "")
                .replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&nbsp;", " ").replace("&amp;", "&")
                .replaceAll("[ \\t]*\\n[ \\t]*", "\n")
                .replaceAll("\\n{3,}", "\n\n")
                .trim();
    }
}
