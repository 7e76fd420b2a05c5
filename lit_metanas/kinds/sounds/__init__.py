"""Task sources of speech."""

from lit_metanas.kinds.sounds.audio_folders import AudioFolder, AudioFolderTask
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.recordings import TableColumns
from lit_metanas.kinds.sounds.spoken_words import SpokenWords
from lit_metanas.kinds.sounds.transcripts import TranscriptTask
from lit_metanas.kinds.sounds.waveforms import mu_law_sound

__all__ = ["AudioFolder", "AudioFolderTask", "LogMel", "SpokenWords", "TableColumns", "TranscriptTask", "mu_law_sound"]
