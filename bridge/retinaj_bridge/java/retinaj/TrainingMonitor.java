package retinaj;

import ij.IJ;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/** Looks after trainings in the background. They go on without it, too. */
final class TrainingMonitor {
    private static final int MILLISECONDS_BETWEEN_LOOKS = 2_000;
    private static final Set<String> WATCHED = ConcurrentHashMap.newKeySet();
    private static final Progress QUIET = new Progress() {
        @Override
        public void report(double fraction, String status) {
            // what a call of a moment does is of no interest
        }

        @Override
        public boolean isCanceled() {
            return false;
        }
    };

    private TrainingMonitor() {}

    /** How a training is. */
    static final class State {
        final String id;
        final String output;
        /** running, done, stopped or failed. */
        final String state;
        final double fraction;
        /** How far it is, or how it ended. */
        final String words;
        final String log;

        private State(Message answer, int at) {
            id = answer.texts("ids")[at];
            output = answer.texts("outputs")[at];
            state = answer.texts("states")[at];
            fraction = Double.parseDouble(answer.texts("fractions")[at]);
            words = answer.texts("words")[at];
            log = answer.texts("logs")[at];
        }

        boolean isRunning() {
            return state.equals("running");
        }
    }

    /** Shows a training in a window of its own until it ends. */
    static void watch(String id, String output) {
        if (!WATCHED.add(id)) {
            return;
        }
        TrainingWindow window = new TrainingWindow(new File(output).getName(), () -> stop(id));
        Thread thread = new Thread(() -> {
            try {
                State state = look(id);
                while (state != null && state.isRunning()) {
                    window.show(state);
                    Thread.sleep(MILLISECONDS_BETWEEN_LOOKS);
                    state = look(id);
                }
                if (state != null) {
                    window.show(state);
                    IJ.log("RetinaJ: " + state.words);
                }
            } catch (RetinaJException error) {
                window.lost(error.getMessage());
            } catch (CanceledException | InterruptedException error) {
                Thread.currentThread().interrupt();
            } finally {
                WATCHED.remove(id);
            }
        }, "RetinaJ training");
        thread.setDaemon(true);
        thread.start();
    }

    /** Shows those that run since an earlier session of ImageJ; without any, no worker is started to ask. */
    static void watchRunning() throws CanceledException {
        if (!mayRun()) {
            return;
        }
        try (Worker worker = Worker.connect(QUIET)) {
            Message answer = worker.call("trainings", new Message(), QUIET);
            for (int at = 0; at < answer.texts("ids").length; at++) {
                State state = new State(answer, at);
                if (state.isRunning()) {
                    watch(state.id, state.output);
                }
            }
        } catch (RetinaJException error) {
            IJ.log("RetinaJ: " + error.getMessage()); // what the user wants to do now may go well all the same
        }
    }

    /**
     * Waits for a training, with ImageJ's progress bar. Escape stops it.
     *
     * @throws RetinaJException if it fails, with the reason
     * @throws CanceledException if Escape was pressed, or somebody else stopped it
     */
    static void await(String id) throws RetinaJException, CanceledException {
        StatusBar progress = new StatusBar();
        try {
            while (true) {
                State state = look(id);
                if (state == null || state.state.equals("failed")) {
                    throw new RetinaJException(state == null ? "The training is not known any more." : state.words);
                }
                if (!state.isRunning()) {
                    IJ.log("RetinaJ: " + state.words);
                    if (state.state.equals("stopped")) {
                        throw new CanceledException();
                    }
                    return;
                }
                progress.report(state.fraction, state.words);
                for (int waited = 0; waited < MILLISECONDS_BETWEEN_LOOKS / 2; waited += 50) {
                    Thread.sleep(50);
                    if (progress.isCanceled()) {
                        stop(id);
                        throw new CanceledException();
                    }
                }
            }
        } catch (InterruptedException error) {
            stop(id);
            throw new CanceledException();
        } finally {
            IJ.showProgress(1.0);
        }
    }

    private static void stop(String id) {
        try (Worker worker = Worker.connect(QUIET)) {
            worker.call("stop training", new Message().put("id", id), QUIET);
        } catch (RetinaJException | CanceledException error) {
            IJ.log("RetinaJ: the training could not be stopped: " + error.getMessage());
        }
    }

    /** Null if it is not among the last ones any more. */
    private static State look(String id) throws RetinaJException, CanceledException {
        try (Worker worker = Worker.connect(QUIET)) {
            Message answer = worker.call("trainings", new Message(), QUIET);
            for (int at = 0; at < answer.texts("ids").length; at++) {
                if (answer.texts("ids")[at].equals(id)) {
                    return new State(answer, at);
                }
            }
        }
        return null;
    }

    private static boolean mayRun() {
        Path folder = Home.folder().resolve("trainings");
        try (Stream<Path> each = Files.list(folder)) {
            return each.anyMatch(training -> Files.exists(training.resolve("job.json"))
                    && !Files.exists(training.resolve("result.json")));
        } catch (IOException | UncheckedIOException error) {
            return false; // there never was one
        }
    }
}
