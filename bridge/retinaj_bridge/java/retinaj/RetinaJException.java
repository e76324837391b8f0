package retinaj;

/** Something that the user can do something about: the message says, in whole sentences, what was wrong and what to do. */
final class RetinaJException extends Exception {
    private static final long serialVersionUID = 1L;

    RetinaJException(String message) {
        super(message);
    }

    RetinaJException(String message, Throwable cause) {
        super(message, cause);
    }
}
