package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.macro.Interpreter;
import ij.plugin.frame.RoiManager;
import java.awt.GraphicsEnvironment;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;

/** Boxes as ROIs: in the ROI Manager and in overlays. */
final class Entries {
    /** What ImageJ's ROI files can hold. */
    private static final int LOWEST = -5_000;
    private static final int HIGHEST = 60_536;
    private static final int MOST_GROUPS = 255;

    private Entries() {}

    /**
     * A ROI of each box, in their order: a rectangle with sub-pixel corners, in the colour of its class, at its plane, with the
     * properties class, score, model and threshold.
     *
     * @throws RetinaJException if a coordinate is outside what ImageJ's ROI files can hold
     */
    static List<Roi> of(Detections found, ImagePlus image, DetectOptions options) throws RetinaJException {
        List<Roi> rois = new ArrayList<>(found.boxes.size());
        for (Box box : found.boxes) {
            if (Math.min(box.xMin, box.yMin) < LOWEST || Math.max(box.xMax, box.yMax) > HIGHEST) {
                throw new RetinaJException(
                        "A box lies outside of what ImageJ's ROI files can hold (-5,000 to 60,536 pixels).");
            }
            Roi roi = new Roi(box.xMin, box.yMin, box.width(), box.height());
            // A group has a colour of its own, which wins when a ROI is saved and opened again: so none, unless asked for.
            if (options.groups) {
                setGroup(roi, Math.min(box.label + 1, MOST_GROUPS));
            } else if (roi.getGroup() > 0) {
                roi.setGroup(0); // the user's default
            }
            String className = found.className(box);
            roi.setName(options.name.name(box, className, image.getTitle(), found.model, rois.size() + 1));
            roi.setStrokeColor(found.colours[box.label]);
            roi.setProperty("class", className);
            roi.setProperty("score", NameTemplate.score(box.score, 4));
            roi.setProperty("model", found.model);
            roi.setProperty("threshold", MacroOptions.number(found.threshold));
            setPosition(roi, image, options.channel, box.slice, box.frame);
            rois.add(roi);
        }
        return rois;
    }

    /** Sets the group alone. ImageJ's own way also looks for the group's colour, and complains in the log where it has none. */
    private static void setGroup(Roi roi, int group) {
        try {
            Field field = Roi.class.getDeclaredField("group");
            field.setAccessible(true);
            field.setInt(roi, group);
        } catch (ReflectiveOperationException | RuntimeException error) {
            roi.setGroup(group); // an ImageJ that keeps it elsewhere
        }
    }

    /** Puts a ROI on its plane, in the way in which ImageJ shows it there. */
    private static void setPosition(Roi roi, ImagePlus image, int channel, int slice, int frame) {
        if (image.isHyperStack() || image.getNChannels() > 1) {
            roi.setPosition(channel, slice, frame);
        } else if (image.getStackSize() > 1 && slice > 0) {
            roi.setPosition(image.getStackIndex(1, slice, frame));
        }
    }

    /**
     * The ROI Manager that macros see now, opened if there is none.
     *
     * @throws RetinaJException if there is no display, and this ImageJ's ROI Manager cannot do without
     */
    static RoiManager manager() throws RetinaJException {
        if (GraphicsEnvironment.isHeadless()) {
            HeadlessRoiManager.install();
            HeadlessCommand.install(); // what macros do with the entries: measure them, add to them
        }
        RoiManager manager = RoiManager.getInstance2(); // in a batch-mode macro, the macro's own hidden one
        return manager == null ? RoiManager.getRoiManager() : manager;
    }

    /** Adds ROIs behind those that are there, or instead of them. */
    static void addTo(RoiManager manager, List<Roi> rois, ImagePlus image, boolean replace) {
        boolean shown = IJ.getInstance() != null && !Interpreter.isBatchMode();
        Roi selection = image.getRoi();
        if (shown) {
            manager.runCommand(image, "Show None"); // or it would draw all that it has anew for each that it gets
        }
        if (replace) {
            manager.reset();
        }
        int before = manager.getCount();
        for (Roi roi : rois) {
            manager.addRoi(roi);
        }
        for (int at = 0; at < rois.size(); at++) {
            Roi roi = rois.get(at);
            if (roi.getPosition() == 0 && !roi.hasHyperStackPosition() && image.getStackSize() > 1) {
                manager.getRoi(before + at).setPosition(0); // on all slices; the manager took it to be on the current one
            }
        }
        if (shown) {
            manager.runCommand(image, "Show All");
            if (selection != null) {
                image.setRoi(selection); // which that has taken away
            }
        }
    }

    /** Adds ROIs to an image's overlay, or makes it of them. */
    static void addTo(Overlay overlay, List<Roi> rois, ImagePlus image) {
        for (Roi roi : rois) {
            overlay.add((Roi) roi.clone());
        }
        image.setOverlay(overlay);
    }
}
