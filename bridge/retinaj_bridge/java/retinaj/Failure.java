package retinaj;

import ij.IJ;
import ij.Macro;
import ij.macro.Interpreter;
import ij.plugin.frame.Recorder;
import java.awt.GraphicsEnvironment;
import java.awt.HeadlessException;
import java.io.PrintWriter;
import java.lang.reflect.Field;

/** How the reason why a command failed reaches who called it: the macro, the script or the user. */
final class Failure {
    private static final int LETTERS_A_LINE = 90;

    private Failure() {}

    /** What a command does. */
    interface Action {
        void run() throws RetinaJException, CanceledException;
    }

    /**
     * Does what a command does. If that fails or is canceled, a macro stops, in its own way and with the reason, a script or
     * Python gets an exception, and who chose from the menu reads the reason in a message.
     *
     * @return whether it was done
     */
    static boolean guard(String command, Action action) {
        String reason;
        try {
            action.run();
            return true;
        } catch (RetinaJException error) {
            reason = error.getMessage();
        } catch (CanceledException error) {
            IJ.showStatus("RetinaJ: canceled");
            reason = null;
        } catch (HeadlessException error) {
            reason = command + " needs a window or a dialog here, and ImageJ runs without a display.";
        } catch (OutOfMemoryError error) {
            reason = "ImageJ ran out of memory. Close images, or give it more by Edit > Options > Memory & Threads.";
        } catch (RuntimeException | Error error) {
            if (Macro.MACRO_CANCELED.equals(error.getMessage())) { // Cancel in a dialog, of a command that a macro runs
                reason = null;
            } else {
                error.printStackTrace();
                reason = "RetinaJ failed unexpectedly: " + error;
            }
        }
        tell(command, reason);
        return false;
    }

    /** Whether a macro, a script or Python runs the command by `run`, rather than the user from the menu. */
    static boolean isScripted() {
        // IJ.run renames its thread so; the menu starts a thread named differently.
        return Thread.currentThread().getName().startsWith("Run$_") || GraphicsEnvironment.isHeadless();
    }

    /** Whether a dialog shall ask for the options: chosen from the menu, or called by a macro that gives none. */
    static boolean asks() {
        return !isScripted() || (Macro.getOptions() == null && IJ.getInstance() != null);
    }

    /** @param reason why the command failed; null if the user canceled it */
    private static void tell(String command, String reason) {
        Interpreter interpreter = Interpreter.getInstance();
        if (!isScripted()) {
            if (Recorder.record) {
                Recorder.setCommand(null); // or ImageJ would record the command without its options
            }
            if (reason != null) {
                IJ.showMessage(command, wrapped(reason));
            }
        } else if (interpreter == null) {
            forgetMacro();
            throw new Stop(reason == null ? Macro.MACRO_CANCELED : reason);
        } else if (reason == null) {
            interpreter.abort((String) null); // ends the macro without a message
        } else {
            IJ.error("RetinaJ", wrapped(reason)); // ends it with the message and the line, by an exception that ImageJ expects
        }
    }

    /** Shows a message that is not the end of a command: a dialog comes again after it. */
    static void show(String command, String reason) {
        IJ.showMessage(command, wrapped(reason));
    }

    /** In lines that fit a message box, if there is one: ImageJ's are as wide as their longest line. */
    private static String wrapped(String reason) {
        if (GraphicsEnvironment.isHeadless()) {
            return reason;
        }
        StringBuilder text = new StringBuilder();
        int length = 0;
        for (String word : reason.split(" ")) {
            if (length > 0 && length + 1 + word.length() > LETTERS_A_LINE) {
                text.append('\n');
                length = 0;
            } else if (length > 0) {
                text.append(' ');
                length++;
            }
            text.append(word);
            length += word.length();
        }
        return text.toString();
    }

    /** Clears what ImageJ leaves set when an exception ends a command: it would take all that follows for a macro. */
    private static void forgetMacro() {
        Macro.setOptions(null);
        try {
            Field running = IJ.class.getDeclaredField("macroRunning");
            running.setAccessible(true);
            running.setBoolean(null, false);
        } catch (ReflectiveOperationException | RuntimeException error) {
            IJ.log("RetinaJ: ImageJ may believe that a macro still runs (" + error + "). Restart it if commands behave oddly.");
        }
    }

    /**
     * Gets through ImageJ to the script that called IJ.run. ImageJ catches every exception of a command and, instead of passing
     * it on, writes its stack trace into a window or the log, which a script does not notice: it would go on with boxes that are
     * not there. This one answers the request for its stack trace with an ordinary exception that says the same.
     */
    private static final class Stop extends RuntimeException {
        private static final long serialVersionUID = 1L;
        private final String reason;

        Stop(String reason) {
            super("RetinaJ: " + reason); // ImageJ drops an exception whose message is "Macro canceled"
            this.reason = reason;
        }

        @Override
        public void printStackTrace(PrintWriter writer) {
            throw new RuntimeException(reason);
        }
    }
}
