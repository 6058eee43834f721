# A step of the boot between the seed and everything that depends on what it says: the skeleton of such a unit.
#
# Used by ./clock.nix, ./network.nix and ./foreign.nix; $SETTINGS is a file of shell variables.
{ contract }:
{
  description,
  before,
  script,
  environment ? { },
  path ? [ ],
}:
{
  inherit description path;
  unitConfig.DefaultDependencies = false;
  wantedBy = [ "sysinit.target" ];
  requires = [ "snowshed-seed.service" ];
  after = [
    "snowshed-seed.service"
    "systemd-modules-load.service"
  ];
  before = before ++ [ "shutdown.target" ];
  conflicts = [ "shutdown.target" ];
  serviceConfig = {
    Type = "oneshot";
    RemainAfterExit = true;
  };
  environment = environment // {
    SETTINGS = "${contract.run_dir}/${contract.seed.environment}";
  };
  inherit script;
}
