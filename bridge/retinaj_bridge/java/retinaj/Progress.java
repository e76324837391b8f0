package retinaj;

/** Who is told how far a call is, and asked whether it shall go on. */
interface Progress {
    /**
     * Called in the thread that called the worker, whenever the worker reports.
     *
     * @param fraction what is done, 0 to 1, or a negative number where that cannot be told
     * @param status what is being done, for the status line; may be empty
     */
    void report(double fraction, String status);

    /** Asked several times a second; true ends the call with a CanceledException. */
    boolean isCanceled();
}
