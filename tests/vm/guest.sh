# Runs in the test machine as root: mounts the checkout where the host has it, and tests it. The words in
# @…@ are put in by machine.py.
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 -opost 2>/dev/null

mkdir -p @ROOT@
mount --bind /mnt/tree @ROOT@
mkdir -p @VENV@
mount -o ro LABEL=venv @VENV@
[ -e @ROOT@/.venv ] || ln -s @VENV@ @ROOT@/.venv

export HOME=/root LANG=C.UTF-8 TERM=dumb
export PATH=@ROOT@/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PYTHONPATH=@ROOT@ PODWRIGHT_TEST_MACHINE=1 PODWRIGHT_TEST_LONG=@LONG@ PODWRIGHT_TEST_PATIENCE=@PATIENCE@
export PODWRIGHT_TEST_STATE=/tmp/podwright-state PODWRIGHT_TEST_LOGS=/tmp/podwright-logs
cd @ROOT@
echo "machine: Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')," \
    "$(stat -fc %T /sys/fs/cgroup), $(dockerd --version)"
python -m pytest -p no:cacheprovider -o timeout=$((300 * @PATIENCE@)) @ARGUMENTS@
echo "@END@ $?"
