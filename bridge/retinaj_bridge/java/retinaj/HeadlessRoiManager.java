package retinaj;

import ij.IJ;
import ij.gui.Roi;
import ij.plugin.frame.RoiManager;
import java.awt.Checkbox;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.swing.DefaultListModel;
import javax.swing.JList;

/**
 * A ROI Manager without a display.
 *
 * <p>ImageJ's ROI Manager is a window, and Java refuses to construct windows without a display, although its list of ROIs needs
 * none. So the object is allocated without running its constructor and gets the fields that the constructor would have set.
 * That leans on private fields: it is done only on versions of ImageJ whose ROI Manager the tests went through, and a rehearsal
 * comes before the object is handed to ImageJ.
 */
public final class HeadlessRoiManager {
    /** Add a version after tests/retinaj_bridge passed on it. */
    private static final List<String> TESTED_VERSIONS = Arrays.asList("1.54p");

    private static final String ADVICE = "run it where there is a display (on Linux, `xvfb-run` makes one), on the ImageJ that "
            + "`retinaj imagej` starts, or let RetinaJ Detect... do without the ROI Manager: output=overlay,table.";

    private HeadlessRoiManager() {}

    /**
     * Gives ImageJ a ROI Manager that works without a display. Does nothing if ImageJ has one already.
     *
     * <p>Afterwards `roiManager(...)`, `RoiManager....` and `RoiManager.getInstance()` work as they do with a window.
     *
     * @throws RetinaJException on an ImageJ that this was not tested on, or if the rehearsal fails
     */
    public static void install() throws RetinaJException {
        install(IJ.getVersion());
    }

    static void install(String version) throws RetinaJException {
        if (RoiManager.getRawInstance() != null) {
            return;
        }
        if (!TESTED_VERSIONS.contains(version)) {
            throw new RetinaJException("ImageJ " + version + " has no ROI Manager without a display, and RetinaJ's substitute was "
                    + "tested only with " + String.join(", ", TESTED_VERSIONS) + ": " + ADVICE);
        }
        try {
            RoiManager manager = allocate();
            rehearse(manager);
            set(null, "instance", manager);
        } catch (ReflectiveOperationException | RuntimeException | LinkageError error) {
            throw new RetinaJException("ImageJ " + version + " did not take the ROI Manager for use without a display ("
                    + error + "): " + ADVICE, error);
        }
    }

    /** A RoiManager as its constructor for hidden use would have made it. */
    private static RoiManager allocate() throws ReflectiveOperationException {
        RoiManager manager = (RoiManager) unconstructed(RoiManager.class);
        JList<Object> names = new JList<>();
        DefaultListModel<Object> model = new DefaultListModel<>();
        names.setModel(model);
        // As the constructor does: or, whenever the selection changes, Swing measures every name, a time quadratic in their number.
        names.setPrototypeCellValue("0000-0000-0000 ");
        set(manager, "list", names);
        set(manager, "listModel", model);
        set(manager, "rois", new ArrayList<Object>());
        // Checkboxes keep their state without a display, only their constructor refuses.
        set(manager, "showAllCheckbox", unconstructed(Checkbox.class));
        set(manager, "labelsCheckbox", unconstructed(Checkbox.class));
        set(manager, "firstTime", true);
        set(manager, "recordShowAll", true);
        set(manager, "multiCropShow", true);
        set(manager, "defaultLineWidth", 1);
        set(manager, "translateX", 10.0);
        set(manager, "translateY", 10.0);
        return manager;
    }

    /** Goes through what macros do most, on an object that nobody else sees yet. */
    static void rehearse(RoiManager manager) {
        Roi roi = new Roi(1.5, 2.0, 3.25, 4.0);
        roi.setName("rehearsal");
        manager.addRoi(roi);
        manager.rename(0, "renamed");
        manager.select(0);
        if (manager.getCount() != 1 || !"renamed".equals(manager.getName(0)) || manager.getSelectedIndex() != 0) {
            throw new IllegalStateException("it lost the ROI that was added to it");
        }
        manager.reset();
        if (manager.getCount() != 0) {
            throw new IllegalStateException("it could not be emptied");
        }
    }

    private static void set(Object manager, String field, Object value) throws ReflectiveOperationException {
        Field found = RoiManager.class.getDeclaredField(field);
        found.setAccessible(true);
        found.set(manager, value);
    }

    private static Object unconstructed(Class<?> type) throws ReflectiveOperationException {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field field = unsafe.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        return unsafe.getMethod("allocateInstance", Class.class).invoke(field.get(null), type);
    }
}
