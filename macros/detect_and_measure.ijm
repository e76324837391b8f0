// RetinaJ: find objects on the open image, and measure the grey values in each box.
//
// In Fiji: open an image, then Plugins > RetinaJ > Examples > Detect and measure.
// Without a window:
//   retinaj imagej detect_and_measure.ijm model=MODEL image=IMAGE output=FOLDER
//   (threshold=0.40 may follow; without output nothing is saved)
//
// The Results table gets a row for each box: its class, score and corners, and the area (in the image's unit), mean,
// minimum, maximum and standard deviation of the pixels in it. Of a stack, each box is measured on its own plane.

requires("1.53t");
checkNames(newArray("model", "image", "output", "threshold"));
model = option("model", "");
threshold = option("threshold", "0.40");
openImage(option("image", ""));
requireEmpty();
if (inWindow()) {
    Dialog.create("RetinaJ: detect and measure");
    Dialog.addFile("Model (package.zip, or model.json of a model folder)", model);
    Dialog.addString("Threshold", threshold, 6);
    Dialog.show();
    model = Dialog.getString();
    threshold = Dialog.getString();
}
output = outputFolder(option("output", ""), newArray("measurements.csv", "RoiSet.zip"));

run("RetinaJ Detect...", "model=&model threshold=&threshold");
for (row = 0; row < nResults; row++) {
    roiManager("select", row); // shows the plane of the box, too
    getStatistics(area, mean, min, max, deviation);
    setResult("area", row, area);
    setResult("mean", row, mean);
    setResult("min", row, min);
    setResult("max", row, max);
    setResult("deviation", row, deviation);
}
updateResults();
run("Select None");
roiManager("deselect");
if (output != "") {
    saveAs("Results", output + "measurements.csv");
    if (roiManager("count") > 0)
        roiManager("save", output + "RoiSet.zip");
}
print(nResults + " objects measured");


// The value of NAME=VALUE among the arguments, which come one a line.
function option(name, otherwise) {
    lines = split(getArgument(), "\n");
    for (i = 0; i < lines.length; i++)
        if (startsWith(lines[i], name + "="))
            return substring(lines[i], lengthOf(name) + 1);
    return otherwise;
}

function checkNames(names) {
    lines = split(getArgument(), "\n");
    for (i = 0; i < lines.length; i++) {
        known = false;
        for (j = 0; j < names.length; j++)
            if (startsWith(lines[i], names[j] + "="))
                known = true;
        if (!known)
            exit("This macro does not know the argument \"" + lines[i] + "\"; it takes " + String.join(names, "=, ") + "=");
    }
}

function inWindow() {
    if (getArgument() != "" || getInfo("java.awt.headless") == "true")
        return false;
    return true;
}

// The ROI Manager and the Results table are used, so they must not hold anything of the user's.
function requireEmpty() {
    if (roiManager("count") > 0)
        exit("The ROI Manager holds ROIs; save them and empty it, then run this macro again.");
    if (nResults > 0)
        exit("The Results table holds results; save and clear them, then run this macro again.");
}

function openImage(path) {
    if (path != "")
        open(absolute(path));
    if (nImages == 0)
        exit("There is no image open; open one, then run this macro again.");
}

// ImageJ takes a relative path to be in the folder that was used last.
function absolute(path) {
    if (startsWith(path, "~/"))
        return getInfo("user.home") + substring(path, 1);
    if (startsWith(path, "/") || startsWith(path, "\\") || indexOf(path, ":") == 1)
        return path;
    return getInfo("user.dir") + File.separator + path;
}

// Makes the output folder, in which nothing is overwritten; "" stands for none.
function outputFolder(path, names) {
    if (path == "")
        return "";
    path = absolute(path);
    if (!endsWith(path, "/") && !endsWith(path, File.separator))
        path = path + File.separator;
    for (i = 0; i < names.length; i++)
        if (File.exists(path + names[i]))
            exit(path + names[i] + " exists already and is not overwritten; choose another output folder.");
    if (!File.exists(path))
        File.makeDirectory(path);
    if (!File.isDirectory(path))
        exit("The output folder could not be made: " + path);
    return path;
}
