package retinaj;

import ij.IJ;
import ij.ImageListener;
import ij.ImagePlus;
import ij.gui.ImageCanvas;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.gui.RoiListener;
import java.awt.EventQueue;
import java.lang.reflect.InvocationTargetException;
import java.util.Objects;

/**
 * Shows on the image what would be found on the plane in view, while the user fills in the dialog.
 *
 * <p>A thread searches the plane once with a threshold so low that the model gives all it has; a move of the threshold only
 * chooses among these. The plane is searched again when it, the selection or another option changes; only the last change
 * counts. Apart from `close`, everything happens in the event thread, except the search.
 */
final class Preview implements AutoCloseable, ImageListener, RoiListener {
    /** Below what any model gives. */
    private static final String LOWEST_THRESHOLD = "0.0001";
    private static final int PAUSE_MILLISECONDS = 150;

    private final ImagePlus image;
    private Overlay overlayBefore;
    private boolean hiddenBefore;
    /** What the ROI Manager shows, which would cover the preview. */
    private Overlay managersBefore;
    private DetectOptions options;
    private String searchedFor;
    private Detections found;
    private volatile Object latest;
    private boolean showing;

    Preview(ImagePlus image) {
        this.image = image;
        ImagePlus.addImageListener(this);
        Roi.addRoiListener(this);
    }

    /** @param chosen the options as they are in the dialog now; null to show nothing */
    void update(DetectOptions chosen) {
        options = chosen;
        if (chosen == null) {
            latest = null;
            restore();
            return;
        }
        String wanted = whatIsSearched();
        if (!wanted.equals(searchedFor)) {
            searchedFor = wanted;
            found = null;
            search();
        } else if (found != null) {
            show();
        }
    }

    /** Shows the image as it was before. */
    @Override
    public void close() {
        ImagePlus.removeImageListener(this);
        Roi.removeRoiListener(this);
        Runnable end = () -> update(null);
        if (EventQueue.isDispatchThread()) {
            end.run();
            return;
        }
        try {
            EventQueue.invokeAndWait(end);
        } catch (InterruptedException | InvocationTargetException error) {
            restore();
        }
    }

    /** All that decides what is found, apart from the threshold. */
    private String whatIsSearched() {
        Roi roi = options.inSelection ? image.getRoi() : null;
        return String.join("|", options.model, String.valueOf(options.overlap), String.valueOf(options.channel), options.tiles,
                String.valueOf(options.project), options.project ? options.slices.toString() : String.valueOf(image.getZ()),
                String.valueOf(image.getT()), roi == null ? "" : roi.getType() + " " + roi.getFloatBounds());
    }

    private void search() {
        Object mine = new Object();
        latest = mine;
        MacroOptions wanted = options.recorded()
                .put("threshold", LOWEST_THRESHOLD)
                .put("slices", options.project ? options.slices.toString() : "current")
                .put("frames", "current");
        Thread thread = new Thread(() -> search(wanted, mine), "RetinaJ preview");
        thread.setDaemon(true);
        thread.start();
    }

    private void search(MacroOptions wanted, Object mine) {
        StatusBar progress = new StatusBar() {
            @Override
            public boolean isCanceled() {
                return latest != mine;
            }
        };
        try {
            Thread.sleep(PAUSE_MILLISECONDS); // the user may still be typing, or drawing
            if (latest != mine) {
                return;
            }
            Detections all = Search.run(image, new DetectOptions(wanted), progress);
            EventQueue.invokeLater(() -> {
                if (latest == mine && options != null) {
                    found = all;
                    show();
                }
            });
        } catch (CanceledException | InterruptedException error) {
            return; // something newer is under way
        } catch (RetinaJException error) {
            fail(error.getMessage(), mine);
        } catch (RuntimeException | OutOfMemoryError error) {
            fail(error.toString(), mine);
        } finally {
            IJ.showProgress(1.0);
        }
    }

    private void fail(String reason, Object mine) {
        EventQueue.invokeLater(() -> {
            if (latest == mine) {
                restore();
                IJ.showStatus("RetinaJ: no preview: " + reason);
            }
        });
    }

    private void show() {
        Overlay overlay = new Overlay();
        for (Box box : found.boxes) {
            if (box.score >= options.threshold) {
                Roi roi = new Roi(box.xMin, box.yMin, box.width(), box.height());
                roi.setStrokeColor(found.colours[box.label]);
                overlay.add(roi);
            }
        }
        ImageCanvas canvas = image.getCanvas();
        if (!showing) {
            overlayBefore = image.getOverlay();
            hiddenBefore = image.getHideOverlay();
            managersBefore = canvas == null ? null : canvas.getShowAllList();
            showing = true;
        }
        if (canvas != null) {
            canvas.setShowAllList(null);
        }
        image.setHideOverlay(false);
        image.setOverlay(overlay);
        IJ.showStatus("RetinaJ: preview of " + overlay.size() + " objects with a score of at least "
                + MacroOptions.number(options.threshold));
    }

    private void restore() {
        searchedFor = null;
        found = null;
        if (showing) {
            showing = false;
            ImageCanvas canvas = image.getCanvas();
            if (canvas != null) {
                canvas.setShowAllList(managersBefore);
            }
            image.setOverlay(overlayBefore);
            image.setHideOverlay(hiddenBefore);
        }
    }

    /** The plane in view may be another. */
    @Override
    public void imageUpdated(ImagePlus updated) {
        lookAgain(updated);
    }

    /** The selection may be another. */
    @Override
    public void roiModified(ImagePlus changed, int what) {
        lookAgain(changed);
    }

    private void lookAgain(ImagePlus changed) {
        if (changed != image) {
            return;
        }
        EventQueue.invokeLater(() -> {
            if (options != null && !Objects.equals(searchedFor, whatIsSearched())) {
                update(options);
            }
        });
    }

    @Override
    public void imageOpened(ImagePlus opened) {
        // Another image.
    }

    @Override
    public void imageClosed(ImagePlus closed) {
        if (closed == image) {
            EventQueue.invokeLater(() -> {
                latest = null;
                showing = false;
            });
        }
    }
}
