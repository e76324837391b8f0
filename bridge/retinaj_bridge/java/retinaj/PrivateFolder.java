package retinaj;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.Set;

/** Folders and files that only their user can read, where the file system knows users. */
final class PrivateFolder {
    private PrivateFolder() {}

    /** Make `folder`, unless it is there. */
    static void create(Path folder) throws IOException {
        try {
            Files.createDirectory(folder, only("rwx------"));
        } catch (FileAlreadyExistsException error) {
            if (!Files.isDirectory(folder)) {
                throw error;
            }
        }
    }

    /** Make an empty file, unless it is there. */
    static void createFile(Path file) throws IOException {
        try {
            Files.createFile(file, only("rw-------"));
        } catch (FileAlreadyExistsException error) {
            if (!Files.isRegularFile(file)) {
                throw error;
            }
        }
    }

    /** Whether only this user can have written `file`. */
    static boolean isOwn(Path file) throws IOException {
        if (!Files.getFileStore(file).supportsFileAttributeView("posix")) {
            return true; // a user's home folder is closed to others there, and what lies in it inherits that
        }
        Set<PosixFilePermission> rights = Files.getPosixFilePermissions(file);
        if (rights.contains(PosixFilePermission.GROUP_WRITE) || rights.contains(PosixFilePermission.OTHERS_WRITE)) {
            return false;
        }
        return Files.getOwner(file, LinkOption.NOFOLLOW_LINKS).equals(ownUser(file.getParent()));
    }

    /** Whom one's files belong to: names of users differ from that in containers and in domains. */
    private static UserPrincipal ownUser(Path folder) throws IOException {
        Path mine;
        try {
            mine = Files.createTempFile(folder, ".own", "");
        } catch (IOException error) { // a full disk, on which a worker that runs can be used all the same
            return Files.getOwner(Paths.get(System.getProperty("user.home")));
        }
        try {
            return Files.getOwner(mine);
        } finally {
            Files.delete(mine);
        }
    }

    private static FileAttribute<?>[] only(String rights) {
        boolean posix = FileSystems.getDefault().supportedFileAttributeViews().contains("posix");
        return posix ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(rights))}
                : new FileAttribute<?>[0];
    }
}
