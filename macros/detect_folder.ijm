// RetinaJ: find objects in every image of a folder.
//
// Without a window:
//   retinaj imagej detect_folder.ijm model=MODEL input=FOLDER output=FOLDER threshold=0.40 overlap=0.50
//   (threshold and overlap may be left out)
// In the window of `retinaj imagej`: Plugins > Macros > Run..., and a dialog asks for the same.
//
// MODEL is a model folder or a package. For each image NAME of the input folder (not of folders in it) the output folder gets
//   NAME_RoiSet.zip  the boxes, for ImageJ's ROI Manager, if there are any;
// and for all of them
//   counts.csv       how many objects of each class each image has.
// Nothing is overwritten: if one of these files exists, nothing is done.

requires("1.53g");

model = option("model", "");
input = option("input", "");
output = option("output", "");
threshold = option("threshold", "0.40");
overlap = option("overlap", "0.50");
checkNames();

if (getArgument() == "" && getInfo("java.awt.headless") != "true") {
    Dialog.create("RetinaJ: detect in a folder");
    Dialog.addFile("Model (package.zip, or model.json of a model folder)", "");
    Dialog.addDirectory("Images", "");
    Dialog.addDirectory("Output", "");
    Dialog.addString("Threshold", threshold, 6);
    Dialog.addString("Overlap", overlap, 6);
    Dialog.show();
    model = Dialog.getString();
    input = Dialog.getString();
    output = Dialog.getString();
    threshold = Dialog.getString();
    overlap = Dialog.getString();
}
if (model == "" || input == "" || output == "")
    exit("detect_folder.ijm needs model=MODEL input=FOLDER output=FOLDER");

input = folder(input);
output = folder(output);
if (!File.isDirectory(input))
    exit("The input folder does not exist: " + input);

// The ROI Manager and the Results table are used on the way, so they must not hold anything of the user's.
setBatchMode(true);
if (roiManager("count") > 0)
    exit("The ROI Manager holds ROIs; save them and empty it, then run this macro again.");
if (nResults > 0)
    exit("The Results table holds results; save and clear them, then run this macro again.");

images = imagesIn(input);
if (images.length == 0)
    exit("The input folder has no images (tif, png, jpg, gif, bmp): " + input);
for (i = 0; i < images.length; i++)
    requireAbsent(output + resultName(images, i) + "_RoiSet.zip");
requireAbsent(output + "counts.csv");
makeFolders(output);

table = "";
unreadable = "";
total = 0;
for (i = 0; i < images.length; i++) {
    showProgress(i, images.length);
    showStatus("RetinaJ: image " + (i + 1) + "/" + images.length);
    opened = nImages;
    if (beginsAsImage(input + images[i])) {
        IJ.redirectErrorMessages(); // to the log, of the next image that cannot be opened
        open(input + images[i]);
    }
    if (nImages == opened) {
        unreadable = unreadable + "\n  " + images[i];
        continue;
    }
    // &name stands for the variable of that name: no path can be taken apart by its spaces or brackets.
    run("RetinaJ Detect...", "model=&model threshold=&threshold overlap=&overlap replace");
    classes = split(getInfo("retinaj.classes"), "\n");
    if (table == "")
        table = "image," + csvLine(classes) + ",total\n";
    counts = newArray(classes.length);
    for (k = 0; k < nResults; k++)
        for (j = 0; j < classes.length; j++)
            if (getResultString("class", k) == classes[j])
                counts[j]++;
    table = table + csvText(images[i]) + "," + String.join(counts, ",") + "," + nResults + "\n";
    total = total + nResults;
    if (roiManager("count") > 0)
        saveRois(output + resultName(images, i) + "_RoiSet.zip");
    close();
}
if (table == "")
    exit("None of the images could be read: " + unreadable);
// Whole or not at all: written under another name first.
File.saveString(table, output + ".counts.csv.partial");
if (File.rename(output + ".counts.csv.partial", output + "counts.csv") != "1")
    exit("counts.csv could not be written to " + output);
roiManager("reset");
run("Clear Results");
showProgress(1);
print(total + " objects; ROI sets and counts.csv are in " + output);
if (unreadable != "") // an error, so that who runs this without a window gets to know
    exit("The other images are done, but these could not be read and were left out:" + unreadable);


// The value of NAME=VALUE among the arguments, which come one a line.
function option(name, otherwise) {
    lines = split(getArgument(), "\n");
    for (i = 0; i < lines.length; i++)
        if (startsWith(lines[i], name + "="))
            return substring(lines[i], lengthOf(name) + 1);
    return otherwise;
}

function checkNames() {
    lines = split(getArgument(), "\n");
    for (i = 0; i < lines.length; i++) {
        known = false;
        names = newArray("model", "input", "output", "threshold", "overlap");
        for (j = 0; j < names.length; j++)
            if (startsWith(lines[i], names[j] + "="))
                known = true;
        if (!known)
            exit("detect_folder.ijm does not know the argument \"" + lines[i]
                + "\"; it takes model=, input=, output=, threshold= and overlap=");
    }
}

// An absolute path with a separator at its end: ImageJ takes relative ones to be in the folder that was used last.
function folder(path) {
    if (startsWith(path, "~/"))
        path = getInfo("user.home") + substring(path, 1);
    if (!(startsWith(path, "/") || startsWith(path, "\\") || indexOf(path, ":") == 1))
        path = getInfo("user.dir") + File.separator + path;
    if (endsWith(path, "/") || endsWith(path, File.separator))
        return path;
    return path + File.separator;
}

function makeFolders(path) {
    if (File.exists(path))
        return;
    parent = File.getParent(path);
    if (parent != path && !File.exists(parent))
        makeFolders(parent);
    File.makeDirectory(path);
    if (!File.isDirectory(path))
        exit("The output folder could not be made: " + path);
}

function imagesIn(path) {
    found = newArray(0);
    names = getFileList(path);
    for (i = 0; i < names.length; i++)
        if (!endsWith(names[i], "/") && !startsWith(names[i], ".")
                && matches(toLowerCase(names[i]), ".*\\.(tif|tiff|png|jpg|jpeg|gif|bmp)"))
            found = Array.concat(found, names[i]);
    return found;
}

// Whether the first bytes are those of an image: ImageJ would stop at a file that only its name makes an image.
function beginsAsImage(path) {
    if (parseInt(File.length(path)) < 4)
        return false;
    bytes = File.openAsRawString(path, 4);
    first = newArray(4);
    for (k = 0; k < 4; k++)
        first[k] = charCodeAt(bytes, k) & 255;
    known = newArray("73,73,42,0", "77,77,0,42", "137,80,78,71", "255,216,255,", "71,73,70,56", "66,77,");
    for (k = 0; k < known.length; k++)
        if (startsWith(String.join(first, ",") + ",", known[k]))
            return true;
    return false;
}

// What the results of an image are called: its name without the suffix, or with it where two images differ in that alone.
function resultName(images, at) {
    stem = File.getNameWithoutExtension(images[at]);
    same = 0;
    for (k = 0; k < images.length; k++)
        if (toLowerCase(File.getNameWithoutExtension(images[k])) == toLowerCase(stem))
            same++;
    if (same == 1)
        return stem;
    return replace(images[at], ".", "_");
}

function requireAbsent(path) {
    if (File.exists(path))
        exit(path + " exists already and is not overwritten; choose another output folder.");
}

function saveRois(path) {
    partial = path + ".partial.zip";
    roiManager("save", partial);
    if (File.rename(partial, path) != "1")
        exit("The ROI set could not be written: " + path);
}

function csvLine(texts) {
    line = csvText(texts[0]);
    for (i = 1; i < texts.length; i++)
        line = line + "," + csvText(texts[i]);
    return line;
}

function csvText(text) {
    if (indexOf(text, ",") < 0 && indexOf(text, "\"") < 0)
        return text;
    return "\"" + replace(text, "\"", "\"\"") + "\"";
}
