package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.Menus;
import ij.WindowManager;
import ij.gui.Roi;
import ij.measure.Measurements;
import ij.plugin.PlugIn;
import ij.plugin.filter.Analyzer;
import ij.plugin.filter.ParticleAnalyzer;
import ij.plugin.frame.RoiManager;
import java.util.Arrays;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Commands of ImageJ that look for a window of the ROI Manager or the Results, done without one. */
public final class HeadlessCommand implements PlugIn {
    private static final List<String> COMMANDS =
            Arrays.asList("ROI Manager...", "Add to Manager", "Measure", "Analyze Particles...");

    /** What ImageJ itself runs for them. */
    private static final Map<String, String> ORIGINALS = new ConcurrentHashMap<>();

    /** Lets ImageJ run these here. Once is enough. */
    @SuppressWarnings("unchecked")
    static void install() {
        Hashtable<String, String> table = Menus.getCommands();
        for (String command : COMMANDS) {
            String original = table.get(command);
            if (original != null && !original.startsWith(HeadlessCommand.class.getName())) {
                ORIGINALS.put(command, original);
                table.put(command, HeadlessCommand.class.getName() + "(\"" + command + "\")");
            }
        }
    }

    /** @param command its name, which ImageJ takes from the table of commands */
    @Override
    public void run(String command) {
        boolean[] done = {false};
        boolean well = Failure.guard(command, () -> done[0] = run(command, WindowManager.getCurrentImage()));
        if (well && !done[0]) {
            String original = ORIGINALS.get(command);
            int argument = original.indexOf("(\"");
            IJ.runPlugIn(command, argument < 0 ? original : original.substring(0, argument),
                    argument < 0 ? "" : original.substring(argument + 2, original.length() - 2));
        }
    }

    /** Does a command, or prepares it; returns whether it is done, for if not, ImageJ shall run it as always. */
    private static boolean run(String command, ImagePlus image) throws RetinaJException {
        if (command.equals("ROI Manager...")) {
            HeadlessRoiManager.install();
            return true;
        }
        if (image == null) {
            return false; // ImageJ says so
        }
        if (command.equals("Add to Manager")) {
            Roi roi = image.getRoi();
            if (roi == null) {
                throw new RetinaJException("There is no selection to add to the ROI Manager; make one first.");
            }
            Entries.manager().addRoi(roi);
            return true;
        }
        if (command.equals("Measure")) {
            if ((Analyzer.getMeasurements() & Measurements.ADD_TO_OVERLAY) != 0) {
                return false;
            }
            // ImageJ would show the row in the Results window, and drops the other rows when there is none.
            new Analyzer(image).measure();
            return true;
        }
        String options = Macro.getOptions();
        List<String> words = Arrays.asList((options == null ? "" : options).trim().split(" +"));
        if (words.contains("add")) {
            RoiManager manager = Entries.manager();
            if (words.contains("clear")) {
                manager.reset();
            }
            ParticleAnalyzer.setRoiManager(manager);
        }
        return false;
    }
}
