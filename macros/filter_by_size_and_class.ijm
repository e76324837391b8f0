// RetinaJ: find objects on the open image, and keep those of one class and of the right size.
//
// In Fiji: open an image, then Plugins > RetinaJ > Examples > Filter by size and class.
// Without a window:
//   retinaj imagej filter_by_size_and_class.ijm model=MODEL image=IMAGE output=FOLDER class=NAME smallest=10 largest=500
//   (each of the last three may be left out; threshold=0.40 may follow; without output nothing is saved)
//
// Sizes are areas of boxes in the image's unit, such as square micrometres, or in square pixels if it has none.
// The ROI Manager and the Results table are left with what was kept.

requires("1.53t");
checkNames(newArray("model", "image", "output", "class", "smallest", "largest", "threshold"));
model = option("model", "");
threshold = option("threshold", "0.40");
class = option("class", "");
smallest = option("smallest", "0");
largest = option("largest", "Infinity");
openImage(option("image", ""));
requireEmpty();
if (inWindow()) {
    getPixelSize(unit, width, height);
    Dialog.create("RetinaJ: filter by size and class");
    Dialog.addFile("Model (package.zip, or model.json of a model folder)", model);
    Dialog.addString("Threshold", threshold, 6);
    Dialog.addString("Class (empty for all)", class, 20);
    Dialog.addString("Smallest area in square " + unit + "s", smallest, 10);
    Dialog.addString("Largest area", largest, 10);
    Dialog.show();
    model = Dialog.getString();
    threshold = Dialog.getString();
    class = Dialog.getString();
    smallest = Dialog.getString();
    largest = Dialog.getString();
}
smallest = number("smallest", smallest);
largest = number("largest", largest);
output = outputFolder(option("output", ""), newArray("boxes.csv", "RoiSet.zip"));

run("RetinaJ Detect...", "model=&model threshold=&threshold");
if (class != "" && !isClass(class))
    exit("The model has no class " + class + "; it has " + replace(getInfo("retinaj.classes"), "\n", ", ") + ".");
found = nResults;
getPixelSize(unit, pixelWidth, pixelHeight);
for (row = found - 1; row >= 0; row--) { // from the end, so that the numbers of the others stay
    area = (getResult("x_max", row) - getResult("x_min", row)) * (getResult("y_max", row) - getResult("y_min", row));
    area = area * pixelWidth * pixelHeight;
    wrongClass = false;
    if (class != "" && getResultString("class", row) != class)
        wrongClass = true;
    if (wrongClass || area < smallest || area > largest) {
        roiManager("select", row);
        roiManager("delete");
        Table.deleteRows(row, row);
    }
}
updateResults();
if (output != "") {
    saveAs("Results", output + "boxes.csv");
    if (roiManager("count") > 0)
        roiManager("save", output + "RoiSet.zip");
}
print(nResults + " of " + found + " objects kept");


function number(name, text) {
    value = parseFloat(text);
    if (isNaN(value) || value < 0)
        exit(name + " is " + text + "; expected an area, such as 25.");
    return value;
}

function isClass(name) {
    classes = split(getInfo("retinaj.classes"), "\n");
    for (k = 0; k < classes.length; k++)
        if (classes[k] == name)
            return true;
    return false;
}


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
