package retinaj;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which slices, or which time frames, of an image: all, the one that is shown, or a range such as 3-7. */
final class Span {
    static final Span ALL = new Span("all", 0, 0);
    static final Span CURRENT = new Span("current", 0, 0);
    private static final Pattern RANGE = Pattern.compile("(\\d{1,9})(?:\\.0*)?(?:\\s*-\\s*(\\d{1,9}))?");

    private final String text;
    private final int first;
    private final int last;

    private Span(String text, int first, int last) {
        this.text = text;
        this.first = first;
        this.last = last;
    }

    /**
     * Reads what a user wrote.
     *
     * @param key the name of the option, for the message
     * @throws RetinaJException quoting the text
     */
    static Span parse(String key, String text) throws RetinaJException {
        String word = text.trim().toLowerCase(Locale.ROOT);
        if (word.equals("all") || word.equals("current")) {
            return word.equals("all") ? ALL : CURRENT;
        }
        Matcher range = RANGE.matcher(word);
        if (range.matches()) {
            int first = Integer.parseInt(range.group(1));
            int last = range.group(2) == null ? first : Integer.parseInt(range.group(2));
            if (1 <= first && first <= last) {
                return new Span(first == last ? String.valueOf(first) : first + "-" + last, first, last);
            }
        }
        throw new RetinaJException(
                key + " is '" + text + "'; expected current, all, or numbers from 1 such as 5 or 3-7.");
    }

    /**
     * The first and the last, from 1, that are meant in an image.
     *
     * @param count how many the image has
     * @param current the one that is shown, from 1
     * @throws RetinaJException if the image does not have them
     */
    int[] in(String key, int count, int current, String title) throws RetinaJException {
        if (this == ALL) {
            return new int[] {1, count};
        }
        if (this == CURRENT) {
            return new int[] {current, current};
        }
        if (last > count) {
            throw new RetinaJException(key + " is " + text + ", but the image " + title + " has " + count + ".");
        }
        return new int[] {first, last};
    }

    /** As it is recorded. */
    @Override
    public String toString() {
        return text;
    }
}
