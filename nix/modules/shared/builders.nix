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

  describe =
    name: builder:
    let
      state = "${cfg.workingDirectory}/${name}";
      settings = settingsOf builder;
      key = if builder.allowUserSsh then "${cfg.workingDirectory}/keys/${name}" else "${state}/ssh/id_ed25519";
    in
    builder
    // {
      inherit
        key
        name
        settings
        state
        ;
      # Seconds until a service manager may use force: the guest's own, and a few to tell about it.
      stopPatience = 20 + (if lib.isInt (settings.stop_grace or null) then settings.stop_grace else 30);
      settingsFile = json.generate "snowshed-${name}.json" settings;
      sshConfig = sshConfig {
        inherit builder key;
        knownHosts = "${cfg.workingDirectory}/known_hosts";
      };
    };

  plan = import ./registration.nix {
    inherit lib;
    ownSystem = "${pkgs.stdenv.hostPlatform.parsed.cpu.name}-linux";
  } {
    directory = cfg.workingDirectory;
    snowshed = "${cfg.package}/bin/snowshed";
    inherit (cfg) asUser;
    builders = cfg.described;
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

  config.services.snowshed = {
    described = lib.mapAttrs describe (lib.filterAttrs (_: b: b.enable) cfg.builders);
    inherit plan;
    planFile = json.generate "snowshed-registration.json" plan;
  };
}
