package retinaj;

import ij.CommandListener;
import ij.Executer;
import ij.IJ;
import ij.ImageJ;
import ij.Menus;
import java.awt.EventQueue;
import java.awt.GraphicsEnvironment;
import java.awt.Menu;
import java.awt.MenuBar;
import java.awt.MenuItem;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Hashtable;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Makes the commands known to an ImageJ that did not find them by itself in its plugins folder. */
public final class Commands {
    private static final Pattern LINE = Pattern.compile("Plugins>(\\w+), \"([^\"]+)\", (\\S+)");

    private Commands() {}

    /**
     * Adds the commands to ImageJ's list of commands, and, if ImageJ shows a window, to its Plugins menu. Those that are there
     * are left as they are. Without a display, also lets commands of ImageJ that look for a window do without.
     */
    @SuppressWarnings("unchecked")
    public static void install() throws InvocationTargetException, InterruptedException {
        if (Menus.getCommands() == null) {
            makeTable();
        }
        Hashtable<String, String> table = Menus.getCommands();
        Map<String, String> missing = ours();
        missing.keySet().removeIf(table::containsKey);
        table.putAll(missing);
        if (GraphicsEnvironment.isHeadless()) {
            HeadlessCommand.install();
        } else if (IJ.getInstance() != null && !missing.isEmpty()) {
            EventQueue.invokeAndWait(() -> addToMenu(missing, IJ.getInstance()));
        }
    }

    /** Without a window, ImageJ makes its list of commands when the first one is run: so one is, but taken away from it. */
    private static void makeTable() {
        String name = Thread.currentThread().getName();
        CommandListener taker = command -> null;
        Executer.addCommandListener(taker);
        try {
            IJ.run("RetinaJ");
        } finally {
            Executer.removeCommandListener(taker);
            Thread.currentThread().setName(name); // IJ.run has renamed it
        }
    }

    private static void addToMenu(Map<String, String> commands, ImageJ window) {
        MenuBar bar = Menus.getMenuBar();
        for (int at = 0; at < bar.getMenuCount(); at++) {
            if (bar.getMenu(at).getLabel().equals("Plugins")) {
                Menu submenu = submenu(bar.getMenu(at));
                for (String command : commands.keySet()) {
                    MenuItem item = new MenuItem(command);
                    item.addActionListener(window);
                    submenu.add(item);
                }
            }
        }
    }

    /** RetinaJ's part of the menu, made if there is none. */
    private static Menu submenu(Menu plugins) {
        for (int at = 0; at < plugins.getItemCount(); at++) {
            MenuItem item = plugins.getItem(at);
            if (item instanceof Menu && item.getLabel().equals("RetinaJ")) {
                return (Menu) item;
            }
        }
        Menu submenu = new Menu("RetinaJ");
        plugins.add(submenu);
        return submenu;
    }

    /** The commands and their classes, as plugins.config tells them to ImageJ. */
    private static Map<String, String> ours() {
        Map<String, String> commands = new LinkedHashMap<>();
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(
                Commands.class.getResourceAsStream("/plugins.config"), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Matcher parts = LINE.matcher(line.trim());
                if (parts.matches()) {
                    commands.put(parts.group(2), parts.group(3));
                }
            }
        } catch (IOException error) {
            throw new IllegalStateException("RetinaJ's plugin is damaged: " + error.getMessage(), error);
        }
        return commands;
    }
}
