# Directories that cannot be shared (src/snowshed/shares.py): what is not there is found out when the guest starts.
{ lib, ... }:
b:
let
  paths = map (share: share.path) (lib.attrValues b.sharedDirectories);
  inside = path: directory: path == directory || lib.hasPrefix "${directory}/" path;
in
[
  {
    assertion = lib.all (lib.hasPrefix "/") paths;
    message = "a shared directory is given by its absolute path.";
  }
  {
    assertion = !lib.elem "/" paths;
    message = "the shared directory / is all of this host: share the part that is needed.";
  }
  {
    assertion = !lib.any (path: path != "/" && (inside path b.state || inside b.state path)) paths;
    message =
      "a shared directory would show the guest the builder's own files in ${b.state}, its keys and its disk: share another.";
  }
]
