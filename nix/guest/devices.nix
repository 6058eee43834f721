# Names for our disks: /dev/snowshed/root, /data and /seed, however the hypervisor shows them.
#
# By virtio serial; where a hypervisor gives none (krunkit), by file system label, and the seed by the name of its
# first member, which a tar archive begins with.
{
  contract,
  lib,
  pkgs,
  ...
}:
let
  bySerial = name: serial: ''
    KERNEL=="vd[a-z]", ATTR{serial}=="${serial}", SYMLINK+="snowshed/${name}"
  '';

  byLabel = name: label: ''
    ENV{ID_FS_LABEL}=="${label}", SYMLINK+="snowshed/${name}"
  '';

  isSeed = pkgs.writeShellScript "snowshed-is-seed" ''
    IFS= read -r -d "" -n ${toString (lib.stringLength contract.seed.settings)} name < "$1"
    [ "$name" = ${contract.seed.settings} ]
  '';
in
{
  services.udev.extraRules = lib.concatStrings [
    ''
      SUBSYSTEM!="block", GOTO="snowshed_end"
    ''
    (lib.concatStrings (lib.mapAttrsToList bySerial contract.disks))
    (lib.concatStrings (lib.mapAttrsToList byLabel contract.labels))
    ''
      KERNEL=="vd[a-z]", ATTR{serial}=="", PROGRAM="${isSeed} $devnode", SYMLINK+="snowshed/seed"
      LABEL="snowshed_end"
    ''
  ];
}
