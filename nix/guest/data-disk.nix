# The data disk of a guest that boots from outside: formatted at the first boot, checked and grown at every one. It
# looks the same as under the Debian guest.
#
# It is formatted only when it is blank. What is merely damaged is left alone and reported, and the rest of the guest
# comes up to be asked. `nodelalloc`: what is on its way into a file when the VM goes must not leave the file empty.
{
  contract,
  pkgs,
  say,
  ...
}:
let
  device = "/dev/snowshed/data";
in
{
  fileSystems.${contract.data_dir} = {
    inherit device;
    fsType = "ext4";
    autoResize = true;
    options = [
      "discard"
      "errors=remount-ro"
      "noatime"
      "nodelalloc"
      "nofail"
      "x-systemd.device-timeout=30"
      "x-systemd.requires=snowshed-format.service"
    ];
  };

  systemd.services.snowshed-format = {
    description = "A file system for a blank data disk";
    unitConfig.DefaultDependencies = false;
    requires = [ "dev-snowshed-data.device" ];
    after = [ "dev-snowshed-data.device" ];
    before = [
      "data.mount"
      "shutdown.target"
      "systemd-fsck@dev-snowshed-data.service"
    ];
    conflicts = [ "shutdown.target" ];
    path = [
      pkgs.diffutils
      pkgs.e2fsprogs
      pkgs.util-linux
    ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    environment = {
      DATA = device;
      LABEL = contract.labels.data;
    };
    script = builtins.readFile ./format.sh;
  };

  # Whatever step of it fails, the mount does.
  systemd.units."data.mount" = {
    overrideStrategy = "asDropin";
    text = ''
      [Unit]
      OnFailure=snowshed-no-disk.service
    '';
  };
  systemd.services.snowshed-no-disk = {
    description = "Tell the host that the data disk is of no use";
    unitConfig.DefaultDependencies = false;
    serviceConfig.Type = "oneshot";
    script = ''
      ${say} failed disk "the data disk cannot be mounted and is left as it is"
    '';
  };
}
