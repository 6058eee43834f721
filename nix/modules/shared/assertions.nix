# What cannot be, on any host: each a sentence that names the builder and what to change.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.snowshed;
  builders = lib.attrValues cfg.described;
  host = pkgs.stdenv.hostPlatform;

  say = builder: text: "services.snowshed.builders.${builder.name}: ${text}";

  # Pairs of builders that claim the same thing.
  clashes =
    what:
    lib.filter (group: lib.length group > 1) (lib.attrValues (lib.groupBy (b: toString b.${what}) builders));
  names = lib.concatMapStringsSep " and " (b: b.name);
  freePort = lib.head (lib.filter (port: !lib.any (b: b.port == port) builders) (lib.range 31222 31999));

  clash = what: advice: group: {
    assertion = false;
    message =
      "services.snowshed.builders: ${names group} have the same ${what}, ${toString (lib.head group).${what}}: "
      + advice;
  };

  size = text: lib.isInt text || builtins.match "[0-9]+([KMGTkmgt](i?[Bb])?)?" text != null;
  macOnly = [ "vz" ] ++ unsuspendable;
  unsuspendable = [
    "krunkit"
    "vfkit"
  ];
  ours = lib.attrValues (import ../../contract.nix).shares;

  parts = b: [
    b.kernelPath
    b.initrdPath
    b.systemPath
  ];
  direct = b: lib.any (part: part != null) (parts b);

  perBuilder = b: [
    {
      assertion = builtins.match "[a-z0-9][a-z0-9-]{0,31}" b.name != null;
      message = say b "a builder's name is 1 to 32 small letters, digits and dashes, and does not begin with a dash.";
    }
    {
      assertion = b.memory == null || size b.memory;
      message = say b "memory = ${builtins.toJSON b.memory} is no size: write a number of MiB, or \"6GiB\".";
    }
    {
      assertion = size b.diskSize;
      message = say b "diskSize = ${builtins.toJSON b.diskSize} is no size: write \"100G\" or \"50GiB\".";
    }
    {
      assertion = direct b -> lib.all (part: part != null) (parts b);
      message = say b "a direct boot needs kernelPath, initrdPath and systemPath together: set all three, or none.";
    }
    {
      assertion = direct b -> b.image == null && b.extraConfig == null;
      message = say b "kernelPath, image and extraConfig are three ways to say what is booted: leave one of them.";
    }
    {
      assertion = b.image == null || b.extraConfig == null;
      message = say b "an image is booted as it is: remove image to have extraConfig, or extraConfig to have the image.";
    }
    {
      assertion = b.rosetta -> host.isDarwin && host.isAarch64;
      message = say b "Rosetta is for Macs with Apple silicon: set rosetta = false, and emulate = [ \"x86_64-linux\" ].";
    }
    {
      assertion = b.rosetta -> b.system != "x86_64-linux";
      message = say b "Rosetta translates x86_64 for an aarch64 guest, and this one is x86_64-linux: remove one of them.";
    }
    {
      assertion = b.rosetta -> b.driver != "krunkit" && b.driver != "qemu";
      message = say b "${b.driver} has no Rosetta: set driver = \"vz\" or \"vfkit\", or rosetta = false.";
    }
    {
      assertion = lib.elem b.driver macOnly -> host.isDarwin;
      message = say b "driver = \"${b.driver}\" exists on macOS alone: set driver = \"qemu\" or \"auto\".";
    }
    {
      assertion = b.driver == "krunkit" -> host.isAarch64;
      message = say b "krunkit runs on Apple silicon alone: set driver = \"auto\".";
    }
    {
      assertion = b.accelerator == "kvm" -> host.isLinux;
      message = say b "KVM is Linux's: set accelerator = \"hvf\" or \"auto\".";
    }
    {
      assertion = b.accelerator == "hvf" -> host.isDarwin;
      message = say b "HVF is macOS's: set accelerator = \"kvm\" or \"auto\".";
    }
    {
      assertion = lib.elem b.driver unsuspendable -> b.idleAction != "suspend";
      message = say b "${b.driver} cannot write a guest's memory to the disk: set idleAction = \"auto\" or \"stop\".";
    }
    {
      assertion = lib.all (tag: builtins.stringLength tag < 36) (lib.attrNames b.sharedDirectories);
      message = say b "the name of a shared directory has at most 35 characters.";
    }
    {
      assertion = !lib.any (tag: lib.elem tag ours) (lib.attrNames b.sharedDirectories);
      message = say b "nix-store and rosetta are names of shares of snowshed's own: name the shared directory otherwise.";
    }
    {
      assertion = lib.all (share: lib.hasPrefix "/" share.path) (lib.attrValues b.sharedDirectories);
      message = say b "a shared directory is given by its absolute path.";
    }
  ];

  warn = b: lib.optional (b.onDemand.enable && b.driver == "krunkit") (
    say b "krunkit cannot suspend, so that every wake on demand is a cold boot through firmware: driver = \"auto\" is faster."
  )
  ++ lib.optional (b.maxJobs == 1) (
    say b "with maxJobs = 1 Nix waits between any two builds: leave it unset for as many as there are cores."
  )
  ++ lib.optional (b.idleTimeout != null && b.onDemand.enable && b.onDemand.ttl != 180) (
    say b "idleTimeout wins over onDemand.ttl: remove one of them."
  );
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      lib.concatMap perBuilder builders
      ++ map (clash "port" "set port = ${toString freePort} on one of them.") (clashes "port")
      ++ map (clash "hostName" "set another hostName on one of them.") (clashes "hostName")
      ++ [
        {
          assertion = builtins.match "/[^/]+/.+" cfg.workingDirectory != null;
          message =
            "services.snowshed.workingDirectory = \"${cfg.workingDirectory}\" is no directory for this purpose: "
            + "give an absolute path of at least two parts.";
        }
        {
          assertion = builders != [ ];
          message = "services.snowshed is enabled and has no builder: enable one, or set services.snowshed.enable = false.";
        }
      ];
    warnings = lib.concatMap warn builders;
  };
}
