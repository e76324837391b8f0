package retinaj;

import ij.IJ;

/** Progress in ImageJ's window, and Escape. */
final class StatusBar implements Progress {
    private final int total;
    private int done;

    /** @param total of how many parts the work consists; the worker reports about one at a time */
    StatusBar(int total) {
        this.total = total;
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
