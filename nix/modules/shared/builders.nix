# What the modules for macOS and NixOS make of every builder: its files, its command, its part of the ssh configuration.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.snowshed;
  json = pkgs.formats.json { };

  settingsOf = import ./settings.nix {
    inherit lib;
    guest = import ./guest.nix {
      inherit lib pkgs;
      snowshed = cfg.package;
    };
  };
  sshConfig = import ./ssh-config.nix { inherit lib; };

  ownSystem = "${pkgs.stdenv.hostPlatform.parsed.cpu.name}-linux";

  describe =
    name: builder:
    let
      state = "${cfg.workingDirectory}/${name}";
      settings = settingsOf builder;
      foreign = settings.system or ownSystem != ownSystem;
      grace = settings.stop_grace or 30;
      key = if builder.allowUserSsh then "${cfg.workingDirectory}/keys/${name}" else "${state}/ssh/id_ed25519";
    in
    builder
    // {
      inherit
        foreign
        key
        name
        settings
        state
        ;
      # What was said in the option `settings` alone.
      more = builder.settings;
      # The driver, as far as that is known before the host is asked (src/snowshed/drivers/registry.py).
      engine =
        if settings.driver == "auto" && (foreign || pkgs.stdenv.hostPlatform.isLinux) then "qemu" else settings.driver;
      # Seconds until a service manager may use force: the guest's own, and a few to tell about it.
      stopPatience = 20 + builtins.ceil (if lib.isString grace then 30 else grace);
      settingsFile = json.generate "snowshed-${name}.json" settings;
      sshConfig = sshConfig {
        inherit builder key;
        knownHosts = "${cfg.workingDirectory}/known_hosts";
      };
    };

  plan = import ./registration.nix {
    inherit lib;
    inherit ownSystem;
  } {
    directory = cfg.workingDirectory;
    snowshed = "${cfg.package}/bin/snowshed";
    inherit (cfg) asUser;
    builders = cfg.described;
  };

  # Where `snowshed` finds a builder of the system: its settings, and its directory where that is another than usual.
  filesOf =
    name: builder:
    {
      "snowshed/${name}.json".source = builder.settingsFile;
    }
    // lib.optionalAttrs (cfg.workingDirectory != "/var/lib/snowshed") {
      "snowshed/${name}.state".text = builder.state;
    };

  internal = type: description: lib.mkOption {
    internal = true;
    readOnly = true;
    inherit type description;
  };
in
{
  options.services.snowshed = {
    described = internal (lib.types.attrsOf lib.types.raw) "The builders, with what follows from their options.";
    asUser = internal (lib.types.listOf lib.types.str) "What is put before a command to run it as their user.";
    plan = internal lib.types.raw "What they may say of themselves to Nix.";
    planFile = internal lib.types.package "The same as a file.";
  };

  config.environment.etc = lib.mkIf cfg.enable (lib.mkMerge (lib.mapAttrsToList filesOf cfg.described));

  config.services.snowshed = {
    described = lib.mapAttrs describe (lib.filterAttrs (_: b: b.enable) cfg.builders);
    inherit plan;
    planFile = json.generate "snowshed-registration.json" plan;
  };
}
