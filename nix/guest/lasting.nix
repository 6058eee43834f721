# What must not grow in a machine whose root is memory: journal and dumps.
{
  services.journald = {
    storage = "volatile";
    extraConfig = "RuntimeMaxUse=32M";
  };
  systemd.coredump.enable = false;
}
