package retinaj;

import java.awt.Dimension;
import java.awt.EventQueue;
import java.awt.Image;
import java.awt.Toolkit;
import java.net.MalformedURLException;
import java.net.URL;
import java.util.Dictionary;
import java.util.Hashtable;
import javax.swing.JEditorPane;
import javax.swing.JFrame;
import javax.swing.JScrollPane;
import javax.swing.WindowConstants;
import javax.swing.event.HyperlinkEvent;
import javax.swing.text.html.HTMLEditorKit;
import javax.swing.text.html.StyleSheet;

/** A page of HTML in a window of its own. Links lead to pages of help (help:detect) or, of other kinds, nowhere. */
final class PageWindow {
    private static final int WIDTH = 760;
    private static final int HEIGHT = 720;
    private static final String[] STYLE = {
        "body { font-family: SansSerif; font-size: 13pt; margin: 14px 20px; color: #1c1f23; background: #ffffff }",
        "h1 { font-size: 20pt; margin: 0 0 8px 0 }",
        "h2 { font-size: 15pt; margin: 16px 0 4px 0 }",
        "p, li, td { font-size: 13pt }",
        "pre, code { font-family: Monospaced; font-size: 12pt }",
    };

    private PageWindow() {}

    static void show(String title, String html) {
        show(title, html, null);
    }

    /**
     * Opens the window.
     *
     * @param picture what stands at the address PICTURE in the page, or null
     */
    static void show(String title, String html, Image picture) {
        EventQueue.invokeLater(() -> open(title, html, picture));
    }

    private static void open(String title, String html, Image picture) {
        HTMLEditorKit kit = new HTMLEditorKit();
        StyleSheet style = new StyleSheet();
        style.addStyleSheet(kit.getStyleSheet()); // not changed itself: all of this Java's HTML shares it
        for (String rule : STYLE) {
            style.addRule(rule);
        }
        kit.setStyleSheet(style);
        JEditorPane pane = new JEditorPane();
        pane.setEditorKit(kit);
        pane.setEditable(false);
        String shown = html;
        if (picture != null) {
            shown = keep(pane, picture, html);
        }
        pane.setText(shown);
        pane.setCaretPosition(0);
        pane.addHyperlinkListener(event -> {
            if (event.getEventType() == HyperlinkEvent.EventType.ACTIVATED && event.getDescription().startsWith("help:")) {
                pane.setText(Help.page(event.getDescription().substring("help:".length())));
                pane.setCaretPosition(0);
            }
        });
        JFrame frame = new JFrame(title);
        frame.setDefaultCloseOperation(WindowConstants.DISPOSE_ON_CLOSE);
        JScrollPane scroll = new JScrollPane(pane);
        Dimension screen = Toolkit.getDefaultToolkit().getScreenSize();
        scroll.setPreferredSize(new Dimension(Math.min(WIDTH, screen.width - 60), Math.min(HEIGHT, screen.height - 120)));
        frame.add(scroll);
        frame.pack();
        frame.setLocationRelativeTo(null); // in the middle
        frame.setVisible(true);
    }

    /** Puts a picture into the pane's store of pictures, under an address that is never looked up elsewhere. */
    private static String keep(JEditorPane pane, Image picture, String html) {
        try {
            URL address = new URL("file:/retinaj/picture.png");
            Dictionary<URL, Image> known = new Hashtable<>();
            known.put(address, picture);
            pane.getDocument().putProperty("imageCache", known);
            return html.replace("src=\"PICTURE\"", "src=\"" + address + "\"");
        } catch (MalformedURLException error) {
            return html;
        }
    }
}
