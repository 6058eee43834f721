# Names that a builder cannot have, or give to a shared directory.
{ lib, ... }:
let
  ours = lib.attrValues (import ../../../contract.nix).shares;
  # The tag of a virtiofs share has at most 35 bytes.
  isTag = name: builtins.match "[A-Za-z0-9_][A-Za-z0-9._-]{0,34}" name != null;
in
b: [
  {
    assertion = builtins.match "[a-z0-9][a-z0-9-]{0,31}" b.name != null;
    message = "a builder's name is 1 to 32 small letters, digits and dashes, and does not begin with a dash.";
  }
  {
    assertion = builtins.match "[A-Za-z0-9][A-Za-z0-9._-]*" b.hostName != null || b.hostName == "snowshed-${b.name}";
    message =
      "hostName = ${builtins.toJSON b.hostName} is no name for ssh: write letters, digits, dots, dashes and underscores, "
      + "and begin with a letter or digit.";
  }
  {
    assertion = lib.all isTag (lib.attrNames b.sharedDirectories);
    message =
      "the name of a shared directory has at most 35 letters, digits, dots, dashes and underscores; it is /mnt/<name> in "
      + "the guest.";
  }
  {
    assertion = !lib.any (tag: lib.elem tag ours) (lib.attrNames b.sharedDirectories);
    message = "nix-store and rosetta are names of shares of snowshed's own: name the shared directory otherwise.";
  }
]
