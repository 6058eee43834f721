# What cannot be, on any host: each a sentence that names the builder and what to change. What one builder cannot be is
# in ./refusals, a file a subject.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.snowshed;
  builders = lib.attrValues cfg.described;

  say = builder: text: "services.snowshed.builders.${builder.name}: ${text}";

  # Pairs of builders that claim the same thing.
  clashes =
    value:
    lib.filter (group: lib.length group > 1) (
      lib.attrValues (lib.groupBy (b: toString (value b)) (lib.filter (b: value b != 0) builders))
    );
  names = lib.concatMapStringsSep " and " (b: b.name);
  freePort = lib.head (lib.filter (port: !lib.any (b: b.port == port) builders) (lib.range 31222 31999));

  clash = what: value: advice: group: {
    assertion = false;
    message =
      "services.snowshed.builders: ${names group} have the same ${what}, ${toString (value (lib.head group))}: ${advice}";
  };
  apart = what: value: advice: map (clash what value advice) (clashes value);

  refusals = map (file: import file {
    inherit lib;
    host = pkgs.stdenv.hostPlatform;
    sizes = import ./sizes.nix;
  }) [
    ./refusals/boot.nix
    ./refusals/driver.nix
    ./refusals/names.nix
    ./refusals/settings.nix
    ./refusals/shares.nix
    ./refusals/sizes.nix
  ];
  perBuilder = b: map (refusal: refusal // { message = say b refusal.message; }) (lib.concatMap (of: of b) refusals);

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
      ++ apart "port" (b: b.port) "set port = ${toString freePort} on one of them."
      ++ apart "hostName" (b: b.hostName) "set another hostName on one of them."
      ++ apart "settings.metrics_port" (b: b.settings.metrics_port or 0) "set another on one of them, or 0 for none."
      ++ [
        {
          assertion = builtins.match "/[A-Za-z0-9._+@-]+/[A-Za-z0-9._+@/-]+" cfg.workingDirectory != null;
          message =
            "services.snowshed.workingDirectory = \"${cfg.workingDirectory}\" is no directory for this purpose: "
            + "give an absolute path of at least two parts, without blanks.";
        }
        {
          assertion = builders != [ ];
          message = "services.snowshed is enabled and has no builder: enable one, or set services.snowshed.enable = false.";
        }
      ];
    warnings = lib.concatMap warn builders;
  };
}
