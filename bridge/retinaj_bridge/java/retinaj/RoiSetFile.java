package retinaj;

import ij.gui.Roi;
import ij.io.RoiEncoder;
import java.io.File;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** A RoiSet.zip, written beside its place under another name first, so that there is never half of one. */
final class RoiSetFile implements AutoCloseable {
    private final Path target;
    private final Path partial;

    /**
     * Writes ROIs, which are not in their place before `commit`.
     *
     * @param path the file; there must be none yet
     * @throws RetinaJException if there is one, or it cannot be written
     */
    RoiSetFile(String path, List<Roi> rois) throws RetinaJException {
        File file = new File(path).getAbsoluteFile();
        requireAbsent(file);
        if (!file.getName().toLowerCase(Locale.ROOT).endsWith(".zip")) {
            throw new RetinaJException("file is " + path + "; expected a name that ends in .zip, such as cells_RoiSet.zip.");
        }
        target = file.toPath();
        try {
            Files.createDirectories(target.getParent());
        } catch (IOException error) {
            throw failed(file, error);
        }
        partial = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".partial");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(partial, StandardOpenOption.CREATE_NEW))) {
            Set<String> used = new HashSet<>();
            for (Roi roi : rois) {
                zip.putNextEntry(new ZipEntry(entry(roi.getName(), used)));
                zip.write(RoiEncoder.saveAsByteArray(roi));
                zip.closeEntry();
            }
        } catch (IOException error) {
            close();
            throw failed(file, error);
        }
    }

    /** @throws RetinaJException if there is such a file: what the user has is never overwritten */
    static void requireAbsent(File file) throws RetinaJException {
        if (file.exists()) {
            throw new RetinaJException(file + " exists already, and RetinaJ does not overwrite it; name another file, or move it.");
        }
    }

    /** Puts the file into its place. */
    void commit() throws RetinaJException {
        try {
            Files.move(partial, target); // fails if there is one by now
        } catch (IOException error) {
            throw failed(target.toFile(), error);
        }
    }

    @Override
    public void close() {
        try {
            Files.deleteIfExists(partial);
        } catch (IOException error) {
            // A hidden file stays behind, which harms nobody.
            return;
        }
    }

    private static RetinaJException failed(File file, IOException error) {
        String reason = error instanceof FileSystemException && ((FileSystemException) error).getReason() != null
                ? ((FileSystemException) error).getReason() : error.getMessage();
        return new RetinaJException(file + " could not be written: " + error.getClass().getSimpleName().replace("Exception", "")
                + ", " + reason + ". Free some space, or choose another folder.", error);
    }

    /** The name of an entry must be unique, short and free of folders; the name that ImageJ shows is inside. */
    private static String entry(String name, Set<String> used) {
        String stem = name.replaceAll("[^\\p{L}\\p{N}_ .()+-]", "_");
        stem = stem.substring(0, Math.min(80, stem.length()));
        String entry = stem;
        for (int number = used.size() + 1; !used.add(entry); number++) {
            entry = stem + "-" + number;
        }
        return entry + ".roi";
    }
}
