package retinaj;

import ij.IJ;

/** Progress in ImageJ's window, of work that consists of several parts, and Escape. */
class StatusBar implements Progress {
    private int total = 1;
    private int done;

    StatusBar() {
        IJ.resetEscape();
    }

    @Override
    public void report(double fraction, String status) {
        if (!status.isEmpty()) {
            IJ.showStatus("RetinaJ: " + status);
        }
        if (fraction >= 0) {
            IJ.showProgress((done + Math.min(fraction, 1)) / total);
        }
    }

    @Override
    public boolean isCanceled() {
        return IJ.escapePressed();
    }

    /** @param parts of how many the work consists; the worker reports about one at a time */
    void begin(int parts) {
        total = parts;
        done = 0;
    }

    /**
     * One more part is done.
     *
     * @throws CanceledException if Escape was pressed
     */
    void next() throws CanceledException {
        done++;
        report(0, total > 1 ? "plane " + done + "/" + total : "");
        if (isCanceled()) {
            throw new CanceledException();
        }
    }
}
