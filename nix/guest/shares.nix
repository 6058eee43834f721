# The user's shared directories: every virtiofs tag that is not ours, under /mnt/<tag>. Whether a share may be written
# is for the host to say and to enforce.
{
  contract,
  lib,
  pkgs,
  ...
}:
{
  systemd.services.snowshed-shares = {
    description = "The host's shared directories";
    wantedBy = [ "multi-user.target" ];
    unitConfig.ConditionPathExists = "/sys/fs/virtiofs";
    path = [ pkgs.util-linux ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    script = ''
      for file in /sys/fs/virtiofs/*/tag; do
        [ -e "$file" ] || continue
        tag=$(< "$file")
        case "$tag" in
          ${lib.concatStringsSep "|" (lib.attrValues contract.shares)}) continue ;;
          */* | . | ..) continue ;;
        esac
        mkdir -p "${contract.share_dir}/$tag"
        mountpoint -q "${contract.share_dir}/$tag" ||
          mount -t virtiofs -o nosuid,nodev "$tag" "${contract.share_dir}/$tag" ||
          echo "the share $tag cannot be mounted" >&2
      done
    '';
  };
}
