package retinaj;

/** The user pressed Escape, or Cancel. */
final class CanceledException extends Exception {
    private static final long serialVersionUID = 1L;
}
