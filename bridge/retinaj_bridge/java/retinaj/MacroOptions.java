package retinaj;

import ij.Macro;
import ij.macro.Interpreter;
import ij.plugin.frame.Recorder;
import java.awt.GraphicsEnvironment;
import java.io.File;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The options of a command by name, as a macro writes them: values (`threshold=0.4`, `model=[/my models/cells]`) and flags
 * (`replace`). One reading for macros and for what was typed into a dialog, and the writing for the recorder.
 *
 * <p>ImageJ's own dialogs read options by searching for the end of a name, and pass over what they do not know. This one reads
 * all of them in order, so that a misspelt option is told, and nothing in a path is taken for an option. No name should be the
 * end of another's all the same, for users look at the options with ImageJ's functions.
 */
final class MacroOptions {
    private static final String NUMBER = "[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?";

    /** Values, and null for a flag that is set, in the order in which they are recorded. */
    private final Map<String, String> given = new LinkedHashMap<>();

    /**
     * The options of the macro or script that called.
     *
     * @param command the name of the command, for what the user reads
     * @param values names of options with a value
     * @param flags names of options without
     * @param usage a line that shows how to write them
     * @throws RetinaJException for an unknown, repeated or malformed option, quoting it
     */
    static MacroOptions ofMacro(String command, List<String> values, List<String> flags, String usage) throws RetinaJException {
        String text = Macro.getOptions();
        return parse(text == null ? "" : text, command, values, flags, usage);
    }

    /** As `ofMacro`, of a text. */
    static MacroOptions parse(String text, String command, List<String> values, List<String> flags, String usage)
            throws RetinaJException {
        MacroOptions options = new MacroOptions();
        String rest = text.trim();
        while (!rest.isEmpty()) {
            int length = 0;
            while (length < rest.length() && rest.charAt(length) != '=' && rest.charAt(length) != ' ') {
                length++;
            }
            String key = rest.substring(0, length).toLowerCase(Locale.ROOT);
            rest = rest.substring(length);
            String value = null;
            if (rest.startsWith("=")) {
                rest = rest.substring(1);
                int end = endOfValue(key, rest);
                boolean quoted = rest.startsWith("[") || rest.startsWith("'");
                value = quoted ? rest.substring(1, end) : rest.substring(0, end);
                rest = rest.substring(Math.min(rest.length(), quoted ? end + 1 : end));
            }
            if (options.given.containsKey(key)) {
                throw new RetinaJException("The option " + key + " is given twice; give it once.");
            } else if (flags.contains(key) && value != null) {
                throw new RetinaJException(
                        "The option " + key + " takes no value but got '" + value + "'; write just " + key + ", or leave it out.");
            } else if (values.contains(key) && value == null) {
                throw new RetinaJException("The option " + key + " has no value; write " + key + "=..., as in " + usage + ".");
            } else if (!flags.contains(key) && !values.contains(key)) {
                throw new RetinaJException(command + " has no option '" + key + "'; it knows "
                        + String.join(", ", values) + (flags.isEmpty() ? "" : ", " + String.join(", ", flags))
                        + ". A path with spaces goes into brackets, as in " + usage + ".");
            }
            options.given.put(key, value == null ? null : resolved(key, value));
            rest = rest.trim();
        }
        return options;
    }

    /** Sets a value: typed into a dialog, or for the recorder. An empty one counts as not given. */
    MacroOptions put(String key, String value) {
        if (value != null && !value.trim().isEmpty()) {
            given.put(key, value);
        }
        return this;
    }

    /** Sets a flag, or not. */
    MacroOptions flag(String key, boolean set) {
        if (set) {
            given.put(key, null);
        }
        return this;
    }

    void remove(String key) {
        given.remove(key);
    }

    boolean has(String key) {
        return given.containsKey(key);
    }

    /** The value of an option without spaces around it, or `otherwise` if it was not given. */
    String text(String key, String otherwise) {
        String value = given.get(key);
        return value == null ? otherwise : value.trim();
    }

    /**
     * The value of an option that is a path: absolute, with the home folder for `~`; "" if it was not given.
     *
     * <p>Where Python hosts ImageJ, a relative path is left to Python, whose current folder may have changed since Java started.
     */
    String path(String key) {
        return absolute(text(key, ""));
    }

    /** As `path`, of a text. */
    static String absolute(String text) {
        String path = text.trim();
        if (path.equals("~") || path.startsWith("~/") || path.startsWith("~\\")) {
            path = System.getProperty("user.home") + path.substring(1);
        }
        boolean hosted = System.getProperty("retinaj.worker.port") != null;
        return path.isEmpty() || hosted ? path : new File(path).getAbsolutePath();
    }

    /**
     * The value of an option that is a number above 0 and at most 1.
     *
     * @throws RetinaJException quoting the value
     */
    double fraction(String key, double otherwise) throws RetinaJException {
        if (!has(key)) {
            return otherwise;
        }
        String text = text(key, "");
        if (!text.matches(NUMBER)) {
            String hint = text.contains(",") ? " (with a point, not a comma)" : "";
            throw new RetinaJException(key + " is '" + text + "'; expected a number such as 0.4" + hint + ".");
        }
        double value = Double.parseDouble(text);
        if (!(value > 0 && value <= 1)) {
            throw new RetinaJException(key + " is " + value + "; expected a number above 0 and at most 1, such as 0.4.");
        }
        return value;
    }

    /**
     * The value of an option that is a whole number. A macro variable that holds 2 arrives as 2.0000.
     *
     * @param least the smallest that is taken
     * @param expected ends the sentence "expected ...", such as "the number of a channel, from 1"
     * @throws RetinaJException quoting the value
     */
    int wholeNumber(String key, int otherwise, int least, String expected) throws RetinaJException {
        return has(key) ? wholeNumber(key, text(key, ""), least, expected) : otherwise;
    }

    /** As the other `wholeNumber`, of a text. */
    static int wholeNumber(String key, String text, int least, String expected) throws RetinaJException {
        double value = text.matches("\\d+\\.?\\d*") ? Double.parseDouble(text) : Double.NaN;
        if (!(value >= least && value <= Integer.MAX_VALUE && value == Math.rint(value))) {
            throw new RetinaJException(key + " is '" + text + "'; expected " + expected + ".");
        }
        return (int) value;
    }

    /**
     * The value of an option that is one of several words.
     *
     * @param choices the words; the first is the default
     * @throws RetinaJException quoting the value
     */
    String choice(String key, String... choices) throws RetinaJException {
        String text = text(key, choices[0]).toLowerCase(Locale.ROOT);
        if (!Arrays.asList(choices).contains(text)) {
            throw new RetinaJException(
                    key + " is '" + text(key, "") + "'; expected one of " + String.join(", ", choices) + ".");
        }
        return text;
    }

    /** As a macro writes them. Paths are always in brackets, also without spaces: that shows how it is done. */
    String line(String... paths) {
        StringBuilder line = new StringBuilder();
        for (Map.Entry<String, String> option : given.entrySet()) {
            line.append(line.length() == 0 ? "" : " ").append(option.getKey());
            if (option.getValue() != null) {
                boolean isPath = Arrays.asList(paths).contains(option.getKey());
                line.append('=').append(quoted(option.getValue(), isPath));
            }
        }
        return line.toString();
    }

    /**
     * Lets ImageJ's recorder write the line that does the same, if it runs.
     *
     * <p>At once, and not when the command ends, as ImageJ would: what the user does in the meantime is recorded, too.
     */
    void record(String command, String... paths) {
        if (GraphicsEnvironment.isHeadless() || !Recorder.record) { // IJ.recording() of later versions
            return;
        }
        Recorder.setCommand(command);
        for (Map.Entry<String, String> option : given.entrySet()) {
            if (option.getValue() == null) {
                Recorder.recordOption(option.getKey());
                continue;
            }
            String value = quoted(option.getValue(), Arrays.asList(paths).contains(option.getKey()));
            if (value.startsWith("[") && value.contains(" ")) {
                value = value.substring(1, value.length() - 1); // the recorder puts brackets around these itself
            }
            // The line is a string of the macro language.
            Recorder.recordOption(option.getKey(), value.replace("\\", "\\\\").replace("\"", "\\\""));
        }
        Recorder.saveCommand();
    }

    /** A number with two digits as ImageJ shows it, or more where two would change the value. */
    static String number(double value) {
        String text = String.format(Locale.ROOT, "%.2f", value);
        return Double.parseDouble(text) == value ? text : Double.toString(value);
    }

    /** In brackets, which may nest in a value but must be balanced; quotes take the others. */
    private static String quoted(String value, boolean always) {
        String bracketed = "[" + value + "]";
        boolean special = value.isEmpty() || value.contains(" ") || value.startsWith("[") || value.startsWith("'");
        if (!always && !special) {
            return value;
        }
        return closingBracket(bracketed) == bracketed.length() - 1 ? bracketed : "'" + value + "'";
    }

    /** Where the value ends that `text` begins with: at its closing bracket or quote, or before a space. */
    private static int endOfValue(String key, String text) throws RetinaJException {
        if (!text.startsWith("[") && !text.startsWith("'")) {
            int space = text.indexOf(' ');
            return space < 0 ? text.length() : space;
        }
        int end = text.startsWith("[") ? closingBracket(text) : text.indexOf('\'', 1);
        if (end < 0) {
            throw new RetinaJException(
                    "The value of " + key + " begins with " + text.charAt(0) + " and does not end: '" + text.trim() + "'.");
        }
        return end;
    }

    /** Where the bracket closes that `text` begins with, or -1. */
    private static int closingBracket(String text) {
        int depth = 0;
        for (int at = 0; at < text.length(); at++) {
            depth += text.charAt(at) == '[' ? 1 : text.charAt(at) == ']' ? -1 : 0;
            if (depth == 0) {
                return at;
            }
        }
        return -1;
    }

    /** The value, or for &amp;name that of the macro's variable. */
    private static String resolved(String key, String value) throws RetinaJException {
        if (!value.startsWith("&")) {
            return value;
        }
        Interpreter interpreter = Interpreter.getInstance();
        String found = interpreter == null ? null : interpreter.getVariableAsString(value.substring(1));
        if (found == null) {
            throw new RetinaJException(
                    key + " is " + value + ", but the macro has no variable '" + value.substring(1) + "'.");
        }
        return found;
    }
}
