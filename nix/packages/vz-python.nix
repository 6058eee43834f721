# The interpreter that may use Virtualization.framework: an entitlement belongs to the file that ends up running, so
# this is a copy of the real one (no wrapper), signed after everything else was done to it. A pyvenv.cfg beside it leads
# it to its library, and a link to snowshed and PyObjC.
{
  darwin,
  python,
  environment,
  runCommand,
}:
runCommand "snowshed-vz-python"
  {
    nativeBuildInputs = [ darwin.sigtool ];
    meta.mainProgram = "python3";
  }
  ''
    mkdir -p $out/bin $out/lib/python${python.pythonVersion}
    ln -s ${environment}/${python.sitePackages} $out/${python.sitePackages}
    printf 'home = %s\ninclude-system-site-packages = false\n' ${python}/bin > $out/pyvenv.cfg
    cp ${python}/bin/python${python.pythonVersion} $out/bin/python3
    chmod u+w $out/bin/python3
    codesign --entitlements ${./vz.entitlements} -f -s - $out/bin/python3
  ''
