package retinaj;

import java.nio.file.Files;
import java.nio.file.Paths;

/**
 * The plugin's own client, for tests: `WorkerProbe VERB [KEY=VALUE | KEY@FILE]...` calls the worker and prints what comes of it,
 * a field a line. The system property cancelAfter names the milliseconds after which it cancels.
 */
public final class WorkerProbe {
    private WorkerProbe() {}

    /** Prints "canceled" or "failed: " and the message in the place of fields. */
    public static void main(String[] arguments) throws Exception {
        long cancelAt = System.currentTimeMillis() + Long.getLong("cancelAfter", Integer.MAX_VALUE);
        Progress progress = new Progress() {
            @Override
            public void report(double fraction, String status) {
                System.out.println("progress " + fraction + " " + status);
            }

            @Override
            public boolean isCanceled() {
                return System.currentTimeMillis() > cancelAt;
            }
        };
        Message request = new Message();
        for (int at = 1; at < arguments.length; at++) {
            int split = arguments[at].indexOf('=');
            int file = arguments[at].indexOf('@');
            if (file > 0 && (split < 0 || file < split)) {
                byte[] content = Files.readAllBytes(Paths.get(arguments[at].substring(file + 1)));
                request.put(arguments[at].substring(0, file), content);
            } else {
                request.put(arguments[at].substring(0, split), arguments[at].substring(split + 1));
            }
        }
        try (Worker worker = Worker.connect(progress)) {
            Message answer = worker.call(arguments[0], request, progress);
            for (String key : new String[] {"name", "classes.0", "models.0", "full", "pid", "version"}) {
                if (answer.has(key)) {
                    System.out.println(key + "=" + answer.text(key));
                }
            }
            System.out.println("boxes " + answer.doubles("score").length);
        } catch (RetinaJException error) {
            System.out.println("failed: " + error.getMessage());
        } catch (CanceledException error) {
            System.out.println("canceled");
        }
    }
}
