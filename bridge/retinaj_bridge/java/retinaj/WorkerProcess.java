package retinaj;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The worker's process, started by this Fiji. It is not Fiji's own: it serves others, and outlives this one. */
final class WorkerProcess {
    private static final String LOG = "worker.log";
    /** What an earlier worker wrote is dropped above that; the worker bounds it from then on. */
    private static final long MOST_LOG_BYTES = 1_000_000;
    private static final int MOST_LINE_BYTES = 4_000;
    private static final String REINSTALL =
            "Run `retinaj fiji install` again in the Python environment that has RetinaJ, and restart Fiji.";

    private final Process process;
    private final Path log;
    private final long logStart;

    private WorkerProcess(Process process, Path log, long logStart) {
        this.process = process;
        this.log = log;
        this.logStart = logStart;
    }

    /**
     * @throws RetinaJException if the Python that has RetinaJ is not there any more, or its output has no place
     */
    static WorkerProcess start() throws RetinaJException {
        Path python = Home.python();
        if (!Files.isExecutable(python)) {
            throw new RetinaJException("The Python environment of RetinaJ was moved or deleted: there is no " + python + ". "
                    + REINSTALL);
        }
        Path folder = Home.folder();
        Path log = folder.resolve(LOG);
        long logStart;
        try {
            Files.createDirectories(folder.getParent());
            PrivateFolder.create(folder);
            logStart = prepare(log);
        } catch (IOException error) {
            throw new RetinaJException("RetinaJ's folder " + folder + " cannot be written to: " + error + ". Free some space, or "
                    + "let the environment variable RETINAJ_HOME name another folder, and restart Fiji.", error);
        }
        try {
            return new WorkerProcess(builder(python, folder, log).start(), log, logStart);
        } catch (IOException error) {
            throw new RetinaJException("The Python environment of RetinaJ does not start: " + error.getMessage() + ". "
                    + REINSTALL, error);
        }
    }

    /** Its exit status, or -1 as long as it runs. */
    int exitStatus() {
        return process.isAlive() ? -1 : process.exitValue();
    }

    void destroy() {
        process.destroy();
    }

    /** Why it ended, as a sentence for the user. */
    String reason() {
        String line = lastLine();
        if (line.contains("No module named")) {
            return "The Python environment of RetinaJ was changed: " + line + ". " + REINSTALL;
        }
        if (line.isEmpty()) {
            return "RetinaJ's worker ended as it started, with status " + exitStatus() + ". Run `retinaj fiji doctor`.";
        }
        return "RetinaJ's worker did not start: " + line + (line.endsWith(".") ? "" : ".") + " The whole reason is in " + log
                + "; `retinaj fiji doctor` looks for it.";
    }

    private static ProcessBuilder builder(Path python, Path folder, Path log) {
        List<String> command = new ArrayList<>();
        command.add(windowless(python).toString());
        // -P: nothing is imported from the folder that it runs in. UTF-8: the log is read here.
        command.add("-P");
        command.add("-X");
        command.add("utf8");
        command.add("-m");
        command.add("retinaj_bridge.worker");
        ProcessBuilder builder = new ProcessBuilder(command);
        String idleMinutes = System.getProperty("retinaj.worker.idleMinutes");
        if (idleMinutes != null) {
            command.add("--idle-minutes=" + idleMinutes);
        }
        builder.environment().put("RETINAJ_HOME", folder.toString());
        builder.environment().remove("PYTHONHOME"); // of another Python, which this one would not survive
        // Not Fiji's folder, which could not be moved on Windows as long as the worker runs.
        builder.directory(folder.toFile());
        builder.redirectErrorStream(true);
        builder.redirectInput(new File(Home.isWindows() ? "NUL" : "/dev/null"));
        builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
        return builder;
    }

    /** On Windows, the Python that opens no console, which a user might close. */
    private static Path windowless(Path python) {
        Path other = python.resolveSibling("pythonw.exe");
        return Home.isWindows() && Files.isExecutable(other) ? other : python;
    }

    /** Make room in the log; the length that it has then. */
    private static long prepare(Path log) throws IOException {
        if (!Files.exists(log)) {
            PrivateFolder.createFile(log);
        }
        try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "rw")) {
            if (file.length() > MOST_LOG_BYTES) {
                file.setLength(0);
            }
            return file.length();
        }
    }

    /** The last line that is not empty of what it wrote. */
    private String lastLine() {
        try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "r")) {
            long start = Math.max(logStart <= file.length() ? logStart : 0, file.length() - MOST_LINE_BYTES);
            byte[] end = new byte[(int) (file.length() - start)];
            file.seek(start);
            file.readFully(end);
            String[] lines = new String(end, StandardCharsets.UTF_8).trim().split("\\R");
            return lines[lines.length - 1].trim();
        } catch (IOException error) {
            return "";
        }
    }
}
